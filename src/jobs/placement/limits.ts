import { type AppError, fieldError } from '../../errors.js';
import { formatTimeLimit, parseTimeLimit } from '../../config/time-limit.js';
import type { JobRequest } from '../job.js';

/** The most that one job can have on a target. */
export interface NodeLimits {
  cpus: number;
  memoryMb: number;
  /** In Slurm's format. */
  maxTime: string;
  /** Time limit of a job that names none, in Slurm's format; by default `maxTime`. */
  defaultTime?: string;
}

/** Memory of a job that names none, unless the machine has less. */
export const defaultMemoryGb = 2;

/** Returns which limit the request exceeds, so that Slurm is not asked for the impossible. */
export function checkLimits(request: JobRequest, limits: NodeLimits): AppError | undefined {
  const over = (field: string, asked: number | string, limit: number | string, unit = '') =>
    fieldError(
      'unprocessable',
      field,
      `${asked} requested; ${limit}${unit} is the most a job can have here`,
      { details: { asked, limit } },
    );
  const maxSeconds = secondsOf(limits.maxTime);
  if (request.cpus > limits.cpus) return over('cpus', request.cpus, limits.cpus);
  if (memoryMbOf(request) > limits.memoryMb)
    return over('mem_gb', request.mem_gb, Math.floor((limits.memoryMb / 1024) * 100) / 100, ' GiB');
  if (request.timeout !== undefined && request.timeout > maxSeconds)
    return over('timeout', request.timeout, maxSeconds, ' s');
  if (secondsOf(request.time_limit) > maxSeconds)
    return over('time_limit', request.time_limit, limits.maxTime);
  return undefined;
}

/** Returns the job's memory in MiB; Slurm counts whole ones. */
export function memoryMbOf(request: Pick<JobRequest, 'mem_gb'>): number {
  return Math.max(1, Math.round(request.mem_gb * 1024));
}

function secondsOf(limit: string): number {
  const seconds = parseTimeLimit(limit);
  return seconds === 'UNLIMITED' || seconds === undefined ? Infinity : seconds;
}

/** Seconds that a job may take beyond its timeout: five until SIGKILL, and its start and end. */
const beyondTimeout = 60;

/**
 * Returns Slurm's limit for a job that names none, in its format: the usual limit or, without one,
 * the longest. With a timeout, Slurm's limit is only the second line; on an SSH host the timeout
 * does not count the transfers before and after.
 * @param mayBeRemote whether the job may start on an SSH host
 */
export function defaultTimeLimit(
  { timeout }: Pick<JobRequest, 'timeout'>,
  { maxTime, defaultTime = maxTime }: Pick<NodeLimits, 'maxTime' | 'defaultTime'>,
  mayBeRemote = false,
): string {
  if (timeout === undefined || mayBeRemote) return defaultTime;
  const seconds = Math.ceil((timeout + beyondTimeout) / 60) * 60;
  return seconds >= secondsOf(maxTime) ? maxTime : formatTimeLimit(seconds);
}
