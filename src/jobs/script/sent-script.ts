import { SENT_SCRIPT } from '../ssh-job-spec.js';
import type { Job } from '../job.js';
import type { JobFolders } from '../job-folders.js';
import { readBesideLog } from '../log-file.js';

/** Slurm takes no larger ones; a host's is hardly longer. */
const mostBytes = 8 * 1024 ** 2;

/** The script as the SSH host that runs the job has it; undefined when none has got it. */
export function sentScript(folders: JobFolders, job: Job): Promise<string | undefined> {
  return readBesideLog(folders, job, SENT_SCRIPT, mostBytes);
}

/** The script as it is here, with a word on what of it is not yet known. */
export function withoutHost(script: string): string {
  return script.replace(
    '\n',
    '\n# No SSH host has been given this job yet. One that is gets this script with its own GPUs, and its own paths instead of those below.\n',
  );
}
