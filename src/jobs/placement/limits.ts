import { AppError } from '../../errors.js';
import { formatTimeLimit, parseTimeLimit } from '../../config/time-limit.js';
import type { JobRequest } from '../job.js';

/** The most one job can have on this cluster. */
export interface NodeLimits {
  cpus: number;
  memoryMb: number;
  /** Slurm's format. */
  maxTime: string;
  /** Of a job that says none, where that is less; in Slurm's format. */
  defaultTime?: string;
}

/** What a job is given that does not say, unless the machine has less. */
export const defaultMemoryGb = 2;

/** @throws AppError unprocessable with the limit, before Slurm is asked for what it could never give. */
export function checkLimits(request: JobRequest, limits: NodeLimits): void {
  const over = (field: string, asked: number | string, limit: number | string, unit: string) => {
    throw new AppError(
      'unprocessable',
      `${field}: ${asked} asked for, ${limit}${unit} is the most a job can have here`,
      { details: { field, asked, limit } },
    );
  };
  if (request.cpus > limits.cpus) over('cpus', request.cpus, limits.cpus, '');
  if (memoryMbOf(request) > limits.memoryMb)
    over('mem_gb', request.mem_gb, Math.floor((limits.memoryMb / 1024) * 100) / 100, ' GiB');
  if (request.timeout !== undefined && request.timeout > secondsOf(limits.maxTime))
    over('timeout', request.timeout, secondsOf(limits.maxTime), ' s');
  if (secondsOf(request.time_limit) > secondsOf(limits.maxTime))
    over('time_limit', request.time_limit, limits.maxTime, '');
}

/** Slurm counts whole MiB. */
export function memoryMbOf(request: Pick<JobRequest, 'mem_gb'>): number {
  return Math.max(1, Math.round(request.mem_gb * 1024));
}

function secondsOf(limit: string): number {
  const seconds = parseTimeLimit(limit);
  return seconds === 'UNLIMITED' || seconds === undefined ? Infinity : seconds;
}

/** What a job in the script's own hands may take beyond its timeout before Slurm ends it: SIGTERM's five seconds and its start and end. */
const beyondTimeout = 60;

/**
 * Slurm's limit for a job that says none, in its format: what is usual there, else the longest. Where a timeout is the limit, Slurm only stands behind it; on an SSH host that
 * does not count what is sent there before and fetched after.
 * @param mayBeRemote whether the job may start on one
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
