import { InvalidArgumentError, Option } from 'commander';
import { readClientConfig } from '../config/client.js';
import { errnoOf } from '../errors.js';

export interface Common {
  url?: string;
  json?: boolean;
}

export const url = () => new Option('--url <url>', 'the API, instead of JR_URL or this machine’s');
export const json = () => new Option('--json', 'the whole reply, for programs');

export const wholeNumber = (what: string, max: number) => (text: string) => {
  if (!/^\d{1,15}$/.test(text) || Number(text) > max)
    throw new InvalidArgumentError(`expected ${what}.`);
  return Number(text);
};
export async function openApi({ url: given }: Common) {
  // A reader such as `head` may close the pipe early.
  process.stdout.on('error', (error) => {
    if (errnoOf(error) !== 'EPIPE') throw error;
    process.exit();
  });
  const { Api } = await import('./api.js');
  return new Api(readClientConfig(given));
}
