import type { JobRequest } from '../job.js';
import { shellQuote } from './shell-quote.js';

/**
 * The shell word for the GPUs' numbers, known only when the job runs; see
 * libexec/job-script/gpus.sh.
 */
const assigned = '"$JR_CUDA"';

const isOption = (word: string) => word.startsWith('-') && !/^-\d/.test(word);

const hasGpus = ({ gpus, gpu_mem_gb }: JobRequest) => gpus > 0 || gpu_mem_gb !== undefined;

const endOfOptions = (args: readonly string[]) => {
  const end = args.indexOf('--');
  return end === -1 ? args.length : end;
};

const namesCuda = (word: string) => word === '--cuda' || word.startsWith('--cuda=');

/** Tells whether the job's arguments name its GPUs; never so for a job without GPUs. */
export function tellsCuda(request: JobRequest): boolean {
  const options = request.args.slice(0, endOfOptions(request.args));
  return hasGpus(request) && (request.cuda === 'add' || options.some(namesCuda));
}

/**
 * Quotes the arguments for the shell. In a job with GPUs, the value of each `--cuda` (the next
 * word, unless that is an option) becomes the job's GPUs. Words behind `--` stay as they are.
 */
export function argumentWords(request: JobRequest): string[] {
  const { args } = request;
  if (!tellsCuda(request)) return args.map(shellQuote);
  const end = endOfOptions(args);
  const words: string[] = [];
  for (let i = 0; i < end; i++) {
    const word = args[i] ?? '';
    if (word === '--cuda') {
      words.push('--cuda', assigned);
      const value = i + 1 < end ? args[i + 1] : undefined;
      if (value !== undefined && !isOption(value)) i++;
    } else words.push(word.startsWith('--cuda=') ? `--cuda=${assigned}` : shellQuote(word));
  }
  if (!args.slice(0, end).some(namesCuda)) words.push('--cuda', assigned);
  return [...words, ...args.slice(end).map(shellQuote)];
}
