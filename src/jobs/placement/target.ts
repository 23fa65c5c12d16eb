import type { GpuFleet } from '../../cluster/gpus/choose.js';
import { NODE_NAME } from '../../config/layout.js';
import { ANY_PARTITION, WORKERS_PARTITION, SSH_PARTITION } from '../../cluster/slurm/partitions.js';
import type { Job, JobRequest } from '../job.js';
import type { NodeLimits } from './limits.js';

// Of jobs in a cluster of our own alone: on an external cluster these names may be its own partitions', see JobPlaces.

/** Whether the job is to run on a host that is reached over SSH, not on this machine and its GPUs. */
export function isRemote({ partition }: Pick<JobRequest, 'partition'>): boolean {
  return partition === SSH_PARTITION;
}

/** Whether the job may start on one, or has: one for the first place free may, as long as it has not started here. */
export function mayBeRemote({ request, node_list }: Pick<Job, 'request' | 'node_list'>): boolean {
  return isRemote(request) || (request.partition === ANY_PARTITION && node_list !== NODE_NAME);
}

/** Whether the job runs, or may come to run, on this machine's GPUs. */
export function mayUseLocalGpus({
  request,
  node_list,
}: Pick<Job, 'request' | 'node_list'>): boolean {
  if (isRemote(request) || request.partition === WORKERS_PARTITION) return false;
  return node_list === null || node_list === NODE_NAME;
}

/** Where a job may run, and what it can have there. */
export interface Target {
  /** Who runs the job, and writes in its folders: the Unix user whose it is, or ours for SSH hosts. */
  folderOwner: 'job-user' | 'jr-remote' | 'either';
  /** Whether the job may start on an SSH host. */
  mayBeRemote: boolean;
  /** Whose jobs have or wait for the same GPUs. */
  isRival(job: Job): boolean;
  /** Whether those are this machine's, some of which may be held. */
  isHere: boolean;
  /** The most that one job can have of each thing. */
  limits: NodeLimits;
  /** @throws AppError unprocessable with the limit. */
  refuse(request: JobRequest): void;
  /** The GPUs among which one is chosen for that job. */
  fleetFor(request: JobRequest): GpuFleet;
  /** The GPUs as the job's script on this machine is to know them; those of {@link fleetFor} when left out. */
  scriptFleet?: GpuFleet;
  /** What Slurm is asked for, where it chooses the GPUs itself; left out where they are chosen of the fleet. */
  gresFor?: (request: JobRequest) => string | null;
}

/** The partitions that jobs are sent to. */
export interface Targets {
  /** @throws AppError unprocessable for a partition that is not there. */
  forPartition(partition: string | undefined): Target;
  /** The request, for the one place that has what it asks for where only one has; else as it is. */
  resolvePartition(request: JobRequest): JobRequest;
  /** Whether the job may start on an SSH host, or has. */
  mayBeRemote(job: Pick<Job, 'request' | 'node_list'>): boolean;
  /** Whether this machine or an SSH host takes the job, whichever is free first. */
  isForFirstFree(request: JobRequest): boolean;
  /** Slurm's partitions for the job; the first place free where there are several. */
  partitionOf(request: JobRequest): string | undefined;
  /** The nodes' features, one of which is needed, as sbatch takes them; undefined where any will do. */
  constraintOf(request: JobRequest, gres: string | null): string | undefined;
}
