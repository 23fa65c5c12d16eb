import type { GpuFleet } from '../../cluster/gpus/choose.js';
import type { GpuChoice, GpuShards } from '../../cluster/gpus/request.js';
import { NODE_NAME } from '../../config/layout.js';
import { ANY_PARTITION, SSH_PARTITION, WORKERS_PARTITION } from '../../cluster/slurm/partitions.js';
import type { AppError } from '../../errors.js';
import type { Job, JobRequest } from '../job.js';
import type { NodeLimits } from './limits.js';

// These functions are for jobs in our own cluster: an external cluster may have partitions with the
// same names, see Targets.

/** Tells whether the job is for an SSH host alone, not for this machine and its GPUs. */
export function isRemote({ partition }: Pick<JobRequest, 'partition'>): boolean {
  return partition === SSH_PARTITION;
}

/** Tells whether the job has started on an SSH host, or may still start on one. */
export function mayBeRemote({ request, node_list }: Pick<Job, 'request' | 'node_list'>): boolean {
  return isRemote(request) || (request.partition === ANY_PARTITION && node_list !== NODE_NAME);
}

/** Tells whether the job runs, or may come to run, on this machine's GPUs. */
export function mayUseLocalGpus({
  request,
  node_list,
}: Pick<Job, 'request' | 'node_list'>): boolean {
  if (isRemote(request) || request.partition === WORKERS_PARTITION) return false;
  return node_list === null || node_list === NODE_NAME;
}

/** A target that jobs may run on: its limits, and its choice of GPUs. */
export interface Target {
  /** The user who writes in the job's folders: the job's own, or `jr-remote` for SSH hosts. */
  folderOwner: 'job-user' | 'jr-remote' | 'either';
  /** Whether the job may start on an SSH host. */
  mayBeRemote: boolean;
  /** The most that one job can have of each thing. */
  limits: NodeLimits;
  /**
   * Returns why the job can never run there, `unprocessable` with the field; otherwise undefined.
   */
  problemWith(request: JobRequest): AppError | undefined;
  /** Returns why one job asks for more than the user's quota of GPUs; otherwise undefined. */
  problemWithQuota(request: JobRequest, maxGpus: number): AppError | undefined;
  /**
   * Chooses the GPUs; null for none.
   * @param request one that {@link problemWith} has no problem with
   * @param liveJobs all of them; the target knows which of them compete for its GPUs
   */
  chooseGpus(request: JobRequest, liveJobs: readonly Job[]): GpuChoice | null;
  /** Returns the GPUs that the job's script on this machine gets. */
  scriptGpus(request: JobRequest): GpuFleet;
}

/** The partitions that jobs are sent to. */
export interface Targets {
  /** @throws AppError unprocessable for an unknown partition. */
  forPartition(partition: string | undefined): Target;
  /** Names the partition in the request where only one of several can run the job. */
  resolvePartition(request: JobRequest): JobRequest;
  /** Tells whether the job has started on an SSH host, or may still start on one. */
  mayBeRemote(job: Pick<Job, 'request' | 'node_list'>): boolean;
  /** Tells whether this machine or an SSH host takes the job, whichever is free first. */
  isForFirstFree(request: JobRequest): boolean;
  /**
   * Returns Slurm's partitions for the job; of several, the first free one takes the job.
   */
  partitionOf(request: JobRequest): string | undefined;
  /**
   * Returns the nodes' features, one of which is needed, as sbatch takes them; undefined for any.
   */
  constraintOf(request: JobRequest, asked: GpuShards | null): string | undefined;
}
