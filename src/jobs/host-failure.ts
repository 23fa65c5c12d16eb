import { HOST_FAILURE } from './ssh-job-spec.js';
import type { Job } from './job.js';
import type { JobFolders } from './job-folders.js';
import { readBesideLog } from './log-file.js';
import type { Targets } from './placement/target.js';

/** A sentence. */
const mostBytes = 4096;

/**
 * Why the SSH host, and not its job, failed, as the process here says that ran the job there; undefined when it does not.
 * The log and the exit code could not tell: the job makes both. What it cannot make is a file in the folder of its log, which is
 * `jr-remote`'s. It may still bring the host's failure about: the processes and the folder that are watched there are its own user's.
 */
export async function hostFailure(
  folders: JobFolders,
  places: Pick<Targets, 'mayBeRemote'>,
  job: Job,
): Promise<string | undefined> {
  // Any other job may write where its log is.
  if (!places.mayBeRemote(job)) return undefined;
  return (await readBesideLog(folders, job, HOST_FAILURE, mostBytes)) || undefined;
}
