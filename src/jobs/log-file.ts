import { lstat, type FileHandle } from 'node:fs/promises';
import { AppError, errnoOf, fieldError } from '../errors.js';
import { openConfined } from '../storage/confined-fs/confined-files.js';
import type { Job } from './job.js';
import type { JobFolders } from './job-folders.js';

export type LogStream = 'stdout' | 'stderr';

export interface LogWindow {
  /** First byte wanted. */
  offset?: number | undefined;
  /** Maximum number of bytes. */
  limit?: number | undefined;
  /** Number of last lines wanted. */
  tail?: number | undefined;
}

export interface OpenLog {
  /** Undefined while the job has written nothing; the receiver closes it. */
  handle: FileHandle | undefined;
  /** First byte, the byte after the last, and the size of the whole log. */
  start: number;
  end: number;
  size: number;
}

const chunkBytes = 64 * 1024;

/**
 * Opens a job's log. `stdout` holds both streams in order; with `split_log`, `stderr` is a file of
 * its own. The job owns the file and may have replaced it by anything.
 * @throws AppError not_found when the job deleted or replaced the file; log_not_split when one file
 *   holds both streams
 */
export async function openLog(
  folders: JobFolders,
  job: Job,
  stream: LogStream,
  window: LogWindow,
): Promise<OpenLog> {
  const { logDir } = folders.of(job.job_id);
  let handle: FileHandle;
  try {
    handle = await openConfined(logDir, `${stream}.log`);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'not_found') throw error;
    if (stream === 'stderr' && !job.request.split_log)
      throw fieldError(
        'log_not_split',
        'stream',
        `job ${job.job_id} has both streams in one log; submit it with split_log=true to keep them apart`,
        { cause: error },
      );
    // A job that has not started, or wrote no error, has no file; that is an empty log.
    const isExpected = !job.terminal || job.started_at === null || stream === 'stderr';
    if (isExpected) return { handle: undefined, start: 0, end: 0, size: 0 };
    throw new AppError('not_found', `job ${job.job_id} has no log: it was deleted or replaced`, {
      cause: error,
    });
  }
  try {
    const { size } = await handle.stat();
    const start =
      window.tail === undefined
        ? Math.min(window.offset ?? 0, size)
        : await startOfLastLines(handle, size, window.tail);
    return { handle, start, end: Math.min(size, start + (window.limit ?? size)), size };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Reads a file beside a job's log, at most `maxBytes`; undefined when there is none. */
export async function readBesideLog(
  folders: JobFolders,
  job: Job,
  name: string,
  maxBytes: number,
): Promise<string | undefined> {
  let handle: FileHandle;
  try {
    handle = await openConfined(folders.of(job.job_id).logDir, name);
  } catch (error) {
    if (error instanceof AppError && error.code === 'not_found') return undefined;
    throw error;
  }
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** Tells whether Slurm has opened the job's log, as it does right before the script. */
export async function hasLog(folders: JobFolders, job: Job): Promise<boolean> {
  try {
    await lstat(folders.of(job.job_id).stdoutPath);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Reads the end of a job's log, at most 8 KiB of each file; empty when there is none. */
export async function logTail(folders: JobFolders, job: Job): Promise<string> {
  const log = await tailOf(folders, job, 'stdout');
  return job.request.split_log ? log + (await tailOf(folders, job, 'stderr')) : log;
}

async function tailOf(folders: JobFolders, job: Job, stream: LogStream): Promise<string> {
  const maxBytes = 8 * 1024;
  const log = await openLog(folders, job, stream, {}).catch((error: unknown) => {
    if (error instanceof AppError) return undefined;
    throw error;
  });
  if (log?.handle === undefined) return '';
  try {
    const from = Math.max(0, log.size - maxBytes);
    const { buffer, bytesRead } = await log.handle.read(Buffer.alloc(maxBytes), 0, maxBytes, from);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await log.handle.close();
  }
}

/** Finds where the last lines start, reading backwards. */
async function startOfLastLines(handle: FileHandle, size: number, lines: number): Promise<number> {
  if (lines === 0) return size;
  const chunk = Buffer.alloc(chunkBytes);
  let seen = 0;
  for (let end = size; end > 0;) {
    const from = Math.max(0, end - chunkBytes);
    const { bytesRead } = await handle.read(chunk, 0, end - from, from);
    for (let i = bytesRead - 1; i >= 0; i--) {
      // No line starts after the line end that closes the last line.
      if (chunk[i] !== 0x0a || from + i === size - 1) continue;
      if (++seen === lines) return from + i + 1;
    }
    end = from;
  }
  return 0;
}
