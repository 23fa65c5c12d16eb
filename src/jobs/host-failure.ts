import { HOST_FAILURE } from './ssh-job-spec.js';
import type { Job } from './job.js';
import type { JobFolders } from './job-folders.js';
import { readBesideLog } from './log-file.js';
import type { Targets } from './placement/target.js';

/** Size limit; the file holds one sentence. */
const maxBytes = 4096;

/**
 * Reads why the SSH host, and not its job, failed, as `jobrunner remote-run` recorded it; undefined
 * when it recorded nothing. The log and the exit code cannot tell, since the job makes both. The
 * job cannot make a file in its log's folder, which is `jr-remote`'s. The job may still cause the
 * host's failure: the processes and the folder that are watched there are its own user's.
 */
export async function hostFailure(
  folders: JobFolders,
  targets: Pick<Targets, 'mayBeRemote'>,
  job: Job,
): Promise<string | undefined> {
  // Any other job can write in its log's folder.
  if (!targets.mayBeRemote(job)) return undefined;
  return (await readBesideLog(folders, job, HOST_FAILURE, maxBytes)) || undefined;
}
