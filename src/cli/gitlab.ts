import { readFile } from 'node:fs/promises';
import { errnoOf } from '../errors.js';
import { GitLabError } from '../ingest/gitlab/errors.js';
import { GitLabJobScanner } from '../ingest/gitlab/job-scanner.js';
import { CliError } from './cli-error.js';
import { note, plain, say } from './terminal.js';

export interface GitLabCommandOptions {
  token?: string;
  gitlabUrl?: string;
  verbose?: boolean;
  quiet?: boolean;
  maxRetries?: number;
}

export interface CreateFileOptions extends GitLabCommandOptions {
  projectId: number;
  filePath: string;
  content?: string;
  fileSource?: string;
  commitMessage?: string;
}

const exitCodes = { SIGINT: 130, SIGTERM: 143 };

export async function listAvailableJobs(options: GitLabCommandOptions): Promise<void> {
  await print(options, (scanner, signal) => scanner.listAvailableJobs(signal));
}

export async function scanAllProjects(options: GitLabCommandOptions): Promise<void> {
  await print(options, (scanner, signal) => scanner.scanAllProjects(signal));
}

export async function createFile(options: CreateFileOptions): Promise<void> {
  await print(options, async (scanner, signal) => {
    const content = await contentOf(options);
    return scanner.createFile({ ...options, content }, signal);
  });
}

/** Prints JSON on stdout and everything else on stderr. Ctrl-C ends it without JSON. */
async function print(
  { token, gitlabUrl, maxRetries, verbose = false, quiet = false }: GitLabCommandOptions,
  work: (scanner: GitLabJobScanner, signal: AbortSignal) => Promise<unknown>,
): Promise<void> {
  process.stdout.on('error', (error) => {
    if (errnoOf(error) !== 'EPIPE') throw error;
    process.exit();
  });
  const stopping = new AbortController();
  const stop = (signal: NodeJS.Signals) => {
    process.exitCode = exitCodes[signal as keyof typeof exitCodes];
    stopping.abort();
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    const scanner = new GitLabJobScanner({
      token,
      gitlabUrl,
      maxRetries,
      onProgress: (line, kind) => {
        if (!quiet && (verbose || kind === 'note')) note(plain(line));
      },
    });
    say(JSON.stringify(await work(scanner, stopping.signal), null, 2));
  } catch (error) {
    if (stopping.signal.aborted) return;
    if (error instanceof GitLabError)
      throw new CliError(`${error.name}: ${plain(error.message)}`, { cause: error });
    throw error;
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

async function contentOf({ content, fileSource }: CreateFileOptions): Promise<string | Buffer> {
  if (content !== undefined && fileSource === undefined) return content;
  if (content !== undefined || fileSource === undefined)
    throw new CliError('expected either --content or --file-source');
  try {
    return await readFile(fileSource);
  } catch (error) {
    throw new CliError(`${fileSource}: cannot be read (${errnoOf(error) ?? String(error)})`);
  }
}
