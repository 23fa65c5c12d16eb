import { SENT_SCRIPT } from '../ssh-job-spec.js';
import type { Job } from '../job.js';
import type { JobFolders } from '../job-folders.js';
import { readBesideLog } from '../log-file.js';

/** Slurm takes no larger scripts, and a host's script is hardly longer. */
const mostBytes = 8 * 1024 ** 2;

/** Reads the script that the job's SSH host was given; undefined while no host has it. */
export function sentScript(folders: JobFolders, job: Job): Promise<string | undefined> {
  return readBesideLog(folders, job, SENT_SCRIPT, mostBytes);
}

/** Adds to the script a line that says which parts depend on the SSH host. */
export function withoutHost(script: string): string {
  return script.replace(
    '\n',
    '\n# No SSH host has been given this job yet. One that is gets this script with its own GPUs, and its own paths instead of those below.\n',
  );
}
