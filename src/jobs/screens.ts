import { join } from 'node:path';
import { isJobUser, OWNER_UNIX_USER } from '../config/unix-users.js';
import type { Job, JobId, JobRequest, JobState } from './job.js';

/** A job that runs, or is to run, in GNU screen. */
export interface Screen {
  job_id: JobId;
  /** The Unix user of the session. */
  unix_user: string;
  /** Null until the job runs. */
  name: string | null;
  state: JobState;
  gpus: number[];
}

/** Lists the sessions of live jobs, everybody's or one user's, oldest job first. */
export function liveScreens(liveJobs: readonly Job[], user: string | undefined): Screen[] {
  return liveJobs
    .filter((job) => job.request.screen && (user === undefined || job.user === user))
    .map((job) => ({
      job_id: job.job_id,
      unix_user: job.unix_user ?? OWNER_UNIX_USER,
      name: screenName(job),
      state: job.state,
      gpus: gpusOf(job) ?? [],
    }));
}

/**
 * Returns the GPUs that the job has or is bound to; undefined while Slurm may still give it any.
 */
function gpusOf({ gpu_shards: asked, gpu_indices: indices }: Job): number[] | undefined {
  if (asked === null) return [];
  return indices ?? (asked.on.length > 0 ? [...asked.on] : undefined);
}

/** Returns `gpujob_<gpus>_<mode>_<job_id>`, as the job's script names it; null while unknown. */
export function screenName(job: Job): string | null {
  const indices = gpusOf(job);
  if (job.state !== 'RUNNING' || indices === undefined) return null;
  const gpus = indices.length > 0 ? indices.join(',') : 'cpu';
  return `gpujob_${gpus}${screenNameTail(job.request, job.job_id)}`;
}

/**
 * Returns the name's part after the GPUs. The mode is the value of `--mode`, or the command key.
 */
export function screenNameTail({ args, command_key }: JobRequest, id: JobId): string {
  let mode = '';
  args.forEach((arg, i) => {
    if (arg === '--mode') mode = args[i + 1] ?? mode;
    else if (arg.startsWith('--mode=')) mode = arg.slice('--mode='.length);
  });
  // A socket's path must be short, and screen reads % as a placeholder.
  const safe = (text: string) => text.replaceAll(/[^\w.-]/g, '-').slice(0, 16);
  return `_${safe(mode || command_key)}_${id}`;
}

/**
 * Returns the command line that attaches a terminal to a session, for root; several may be
 * attached. `script` gives screen a terminal that the job's user may open, unlike the caller's own.
 * @param screensDir the layout's `screens`
 * @param term the caller's `TERM`
 */
export function attachCommand(
  screensDir: string,
  { name, unix_user: user }: { name: string; unix_user: string },
  term: string,
): string[] {
  if (!/^gpujob_[\w,.-]+$/.test(name) || !isJobUser(user))
    throw new Error(`not a session of ours: ${name} of ${user}`);
  const variables = [`SCREENDIR=${join(screensDir, user)}`, `TERM=${term}`, 'LANG=C.UTF-8'];
  return ['sudo', '-u', user, 'env', ...variables]
    .concat('script', '--quiet', '--return', '--command', `screen -x ${name}`)
    .concat('/dev/null');
}
