import { AppError } from '../errors.js';
import { SENT_SCRIPT } from '../remote/spec.js';
import { openConfined } from '../storage/confined-files.js';
import type { Job } from './job.js';
import type { JobFolders } from './job-folders.js';

/** Slurm takes no larger ones; a host's is hardly longer. */
const mostBytes = 8 * 1024 ** 2;

/** The script as the SSH host that runs the job has it; undefined when none has got it. */
export async function sentScript(folders: JobFolders, job: Job): Promise<string | undefined> {
  let handle;
  try {
    handle = await openConfined(folders.of(job.job_id).logDir, SENT_SCRIPT);
  } catch (error) {
    if (error instanceof AppError && error.code === 'not_found') return undefined;
    throw error;
  }
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(mostBytes), 0, mostBytes, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** The script as it is here, with a word on what of it is not yet known. */
export function withoutHost(script: string): string {
  return script.replace(
    '\n',
    '\n# No SSH host has been given this job yet. One that is gets this script with its own GPUs, and its own paths instead of those below.\n',
  );
}
