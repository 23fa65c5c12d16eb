import { SENT_SCRIPT } from '../ssh-job-spec.js';
import type { Job } from '../job.js';
import type { JobFolders } from '../job-folders.js';
import { readBesideLog } from '../log-file.js';

/** Size limit: Slurm takes no larger script, and a host's is hardly longer. */
const maxBytes = 8 * 1024 ** 2;

/** Reads the script that the job's SSH host was given; undefined while no host has it. */
export function sentScript(folders: JobFolders, job: Job): Promise<string | undefined> {
  return readBesideLog(folders, job, SENT_SCRIPT, maxBytes);
}

/** Adds to the script a line that says which parts depend on the SSH host. */
export function withoutHost(script: string): string {
  return script.replace(
    '\n',
    '\n# No SSH host has this job yet. The host that gets it has GPUs and paths of its own instead of those below.\n',
  );
}
