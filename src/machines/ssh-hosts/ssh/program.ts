import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { shellQuote } from '../../../jobs/script/shell-quote.js';
import { packageRoot } from '../../../config/package-root.js';

const hostScript = readFileSync(join(packageRoot, 'libexec', 'ssh-host.sh'), 'latin1');

/** One call of libexec/ssh-host.sh. */
export interface Program {
  /**
   * The command for the user's login shell there, whichever it is; always the same words in `ps`.
   */
  command: string;
  /** The program text, which precedes its own input on standard input. */
  text: Buffer;
  /** The line in front of the program's output: login shells may print, too. */
  mark: string;
}

/** Makes a call. @param args a function of the script, and its arguments, without NUL */
export function hostProgram(args: readonly string[]): Program {
  const mark = `jobrunner-${randomBytes(12).toString('hex')}`;
  const text = Buffer.concat([
    Buffer.from(`JR_MARK=${mark}; set -- ${args.map(shellQuote).join(' ')}\n`),
    Buffer.from(hostScript, 'latin1'),
  ]);
  return {
    // In the C locale a character is a byte. bash reads exactly this number of bytes.
    command: `exec bash -c 'export LC_ALL=C; IFS= read -r -N ${text.length} p && eval "$p"'`,
    text,
    mark,
  };
}

/** The most bytes that a login shell may print in front of our program. */
const maxNoise = 2 ** 20;

/** Yields the output after the mark. @throws Error when too many bytes precede it */
export async function* afterMark(
  stream: AsyncIterable<Buffer>,
  mark: string,
  onNoise: (noise: Buffer) => void = () => undefined,
): AsyncGenerator<Buffer, void, undefined> {
  let noise: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of stream) {
    if (noise === undefined) {
      yield chunk;
      continue;
    }
    noise = Buffer.concat([noise, chunk]);
    const at = noise.indexOf(`${mark}\n`);
    if (at !== -1) {
      onNoise(noise.subarray(0, at));
      const rest = noise.subarray(at + mark.length + 1);
      noise = undefined;
      if (rest.length > 0) yield rest;
    } else if (noise.length > maxNoise)
      throw new Error('the login shell there prints without end; check ~/.bashrc?');
  }
  if (noise !== undefined) onNoise(noise);
}
