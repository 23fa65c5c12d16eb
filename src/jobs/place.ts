import type { GpuFleet } from '../gpus/choose.js';
import type { Job, JobRequest } from './job.js';
import type { NodeLimits } from './limits.js';

/** Where a job may run, and what it can have there. */
export interface Place {
  isRemote: boolean;
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
  /** What Slurm is asked for, where it chooses the GPUs itself; left out where they are chosen of the fleet. */
  gresFor?: (request: JobRequest) => string | null;
}

/** The partitions that jobs are sent to. */
export interface JobPlaces {
  /** @throws AppError unprocessable for a partition that is not there. */
  of(partition: string | undefined): Place;
  /** Slurm's partitions for the job; the first place free where there are several. */
  partitionOf(request: JobRequest): string | undefined;
  /** The nodes' features, one of which is needed, as sbatch takes them; undefined where any will do. */
  constraintOf(request: JobRequest, gres: string | null): string | undefined;
}
