import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, statSync } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { AppError, errnoOf } from '../errors.js';
import { formatJobLine, isBlank, parseJobLine } from '../ingest/jobs-file/job-line.js';
import { scriptDigest } from '../ingest/jobs-file/script-digest.js';
import { submitFieldsOf } from '../ingest/jobs-file/submit-fields.js';
import { CliError } from './cli-error.js';
import { note, say } from './terminal.js';

const lockSeconds = 30;

export interface AddOptions {
  conda?: string;
  args?: string;
  priority?: string;
  gpus?: string;
  outputFile?: string;
}

/** Checks a job as the service does, and appends its line to the jobs file. */
export async function addJob(script: string, options: AddOptions, jobsFile: string): Promise<void> {
  const path = resolve(options.outputFile ?? jobsFile);
  let line: string;
  try {
    line = formatJobLine({
      priority: options.priority ?? '',
      script: resolve(script),
      condaEnv: options.conda ?? '',
      args: options.args ?? '',
      allowedGpus: options.gpus ?? '',
    });
    if (isBlank(line)) throw new CliError('priority: a line must not begin with #');
    submitFieldsOf(parseJobLine(line), { gpus: undefined, screen: false });
    await scriptDigest(resolve(script));
  } catch (error) {
    if (error instanceof AppError) throw new CliError(error.message, { cause: error });
    throw error;
  }
  await appendLine(path, line);
  say(`${path}: ${line}`);
  const closed = closedToOthers(resolve(script));
  if (closed !== undefined)
    note(`note: ${closed} is closed to other users; jobs run as the user runner and must reach it`);
  if (!isSameFile(path, jobsFile))
    note(`note: JobRunner watches ${jobsFile} (JR_JOBS_FILE), not this file`);
}

/**
 * Appends one line, after ending a half-written last line. Holds the file's flock(2) lock and
 * writes in one append, so that no other `add` or `echo >>` can write in between.
 * @throws CliError when the file cannot be written
 */
export async function appendLine(path: string, line: string): Promise<void> {
  for (;;) {
    const file = await openForAppend(path);
    try {
      await lock(file, path);
      const { ino, dev, size } = await file.stat();
      // An editor may have replaced the file meanwhile; a line in the old file would be lost.
      const there = await stat(path).catch(noneIfGone);
      if (there?.ino !== ino || there.dev !== dev) continue;
      const last = Buffer.alloc(1);
      if (size > 0) await file.read(last, 0, 1, size - 1);
      const start = size > 0 && last[0] !== 0x0a ? '\n' : '';
      const bytes = Buffer.from(`${start}${line}\n`);
      const { bytesWritten } = await file.write(bytes);
      if (bytesWritten < bytes.length)
        throw new CliError(`${path}: only part of the line could be written; the disk may be full`);
      await file.datasync();
      return;
    } catch (error) {
      if (error instanceof CliError) throw error;
      throw new CliError(`${path}: cannot be written (${errnoOf(error) ?? String(error)})`);
    } finally {
      await file.close();
    }
  }
}

async function openForAppend(path: string): Promise<FileHandle> {
  const { O_RDWR, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
  let file: FileHandle;
  try {
    file = await open(path, O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK, 0o644);
  } catch (error) {
    const code = errnoOf(error);
    const remedy =
      code === 'EACCES'
        ? ': run this as root (sudo), or name another with --output-file'
        : code === 'ENOENT'
          ? `: there is no folder ${dirname(path)}`
          : '';
    throw new CliError(`${path}: cannot be opened (${code ?? String(error)})${remedy}`);
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new CliError(`${path}: not a regular file`);
}

/**
 * Locks the file through flock(1), since Node has no flock(2). The command locks the open file of
 * our descriptor; closing that releases the lock.
 */
async function lock(file: FileHandle, path: string): Promise<void> {
  const child = spawn('flock', ['--exclusive', '--timeout', String(lockSeconds), '3'], {
    stdio: ['ignore', 'ignore', 'inherit', file.fd],
  });
  const [code] = (await once(child, 'exit').catch((error: unknown) => {
    throw new CliError(`flock (util-linux) cannot be run (${errnoOf(error) ?? String(error)})`);
  })) as [number | null];
  if (code !== 0)
    throw new CliError(`${path}: another process has held its lock for ${lockSeconds} s`);
}

function noneIfGone(error: unknown): undefined {
  if (errnoOf(error) !== 'ENOENT') throw error;
}

/** Returns the script, or the folder above it, that only its owner can read. */
function closedToOthers(path: string): string | undefined {
  if ((statSync(path).mode & 0o004) === 0) return path;
  for (let folder = dirname(path); folder !== '/'; folder = dirname(folder))
    if ((statSync(folder).mode & 0o001) === 0) return folder;
  return undefined;
}

function isSameFile(a: string, b: string): boolean {
  const of = (path: string) => {
    const found = statSync(path, { throwIfNoEntry: false });
    return found && `${found.dev} ${found.ino}`;
  };
  return a === b || of(a) === of(b);
}
