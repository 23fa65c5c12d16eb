import { NODE_NAME } from '../config/layout.js';
import type { SlurmJob } from '../cluster/slurm/job-record.js';
import type { SlurmState } from '../cluster/slurm/states.js';
import { heldConnections } from './held-connections.js';
import type { Failure, JobRequest } from './job.js';
import { TIMED_OUT, timedOutLine } from './script/timeout.js';

export interface Verdict {
  failure: Failure;
  message: string;
}

const cancelled: Verdict = { failure: 'cancelled', message: 'was cancelled' };
const timeLimit: Verdict = {
  failure: 'time_limit',
  message: 'ran into its time limit and was ended; ask for a longer time_limit',
};
const node: Verdict = {
  failure: 'node',
  message: 'was cut off because its node went down or JobRunner was stopped; rerun it',
};
/** Returns the verdict on a node other than this machine. */
const farNode = (name: string): Verdict => ({
  failure: 'node',
  message: `was cut off because its node ${name} left or is gone; rerun it`,
});
const verdicts: Partial<Record<SlurmState, Verdict>> = {
  TIMEOUT: timeLimit,
  DEADLINE: timeLimit,
  CANCELLED: cancelled,
  PREEMPTED: cancelled,
  REVOKED: cancelled,
  NODE_FAIL: node,
  BOOT_FAIL: node,
};

/**
 * Explains in plain words why a job did not complete.
 * @param logTail the end of its log. Without cgroups, Slurm reports there that it killed the job
 *   for its memory; the script reports there that it ended the command at its timeout. The state
 *   alone is FAILED then.
 * @param hostFailure why the job's SSH host failed, if it did
 * @returns undefined for a completed job
 */
export function judge(
  job: SlurmJob,
  logTail: string,
  { timeout }: Pick<JobRequest, 'timeout'> = {},
  hostFailure?: string,
): Verdict | undefined {
  const { nodeList } = job;
  const isFar = nodeList !== null && nodeList !== NODE_NAME;
  if (job.state === 'NODE_FAIL' && isFar) return farNode(nodeList);
  const byState = verdicts[job.state];
  if (byState !== undefined) return byState;
  if (job.state === 'COMPLETED') return undefined;
  if (hostFailure !== undefined) return { failure: 'node', message: hostFailure };
  const held = heldConnections(job.slurmJobId, logTail);
  if (held !== undefined) return { failure: 'user_code', message: held };
  if (job.state === 'OUT_OF_MEMORY')
    return { failure: 'out_of_memory', message: memoryMessage(logTail) };
  if (saysOverMemory(job, logTail))
    return { failure: 'out_of_memory', message: memoryMessage(logTail) };
  if (
    timeout !== undefined &&
    job.exitCode === TIMED_OUT &&
    logTail.includes(timedOutLine(timeout))
  )
    return {
      failure: 'time_limit',
      message: `ran into its timeout of ${timeout} s and was ended; ask for a longer one`,
    };
  if (job.signal > 0)
    return {
      failure: 'user_code',
      message: `was ended by signal ${job.signal}; its log says more`,
    };
  if (job.startedAt === null)
    return {
      failure: 'submit',
      message: `never started: ${job.reason ?? 'Slurm gives no reason'}`,
    };
  if (job.exitCode === 0)
    return {
      failure: 'user_code',
      message: 'failed with an exit code that Slurm does not report; its log says more',
    };
  return {
    failure: 'user_code',
    message: `ended with exit code ${job.exitCode}; its log says more`,
  };
}

/** Returns the verdict on a job that its node could not start in that many attempts. */
export function lastingLaunchFailure(node: string, attempts: number): Verdict {
  const times = attempts === 1 ? 'once' : `${attempts} times`;
  return {
    failure: 'node',
    message: `never started: ${node} could not start it, ${times}; rerun it`,
  };
}

/**
 * Tells whether Slurm killed the job for its memory. Slurm kills the script's children first, and
 * the script may then end by itself with an exit code. In that case only slurmstepd's own line
 * about this very job counts.
 */
function saysOverMemory({ signal, slurmJobId }: SlurmJob, logTail: string): boolean {
  const words =
    signal === 9
      ? /exceeded memory limit|oom.?kill/i
      : new RegExp(`StepId=${slurmJobId}\\.\\S+ exceeded memory limit \\(\\d+ > \\d+\\)`);
  return words.test(logTail);
}

function memoryMessage(logTail: string): string {
  const [, used, limit] = /exceeded memory limit \((\d+) > (\d+)\)/.exec(logTail) ?? [];
  if (used === undefined)
    return 'used more memory than it asked for and was ended; ask for more mem_gb';
  const mib = (bytes: string | undefined) => Math.round(Number(bytes) / 1024 ** 2);
  return `used ${mib(used)} MiB of memory, its limit is ${mib(limit)} MiB, and was ended; ask for more mem_gb`;
}
