import { AppError, fieldError } from '../../errors.js';
import type { JobRequest } from '../job.js';
import { checkLimits, memoryMbOf, type NodeLimits } from './limits.js';
import type { Targets, Target } from './target.js';
import type { SlurmNode } from '../../cluster/slurm/nodes.js';
import { formatTimeLimit } from '../../config/time-limit.js';
import { chooseExternalGpus, maxGpus, nodesWith } from './external-gpus.js';
import type { ExternalInventory, ExternalPartition } from '../../cluster/external/inventory.js';

/** RealMemory, in MiB, of a node whose slurm.conf does not state it (slurm.conf(5), RealMemory). */
const unsetMemoryMb = 1;

/** The external cluster's partitions, each with its limits for a job. */
export class ExternalTargets implements Targets {
  readonly #inventory: Pick<ExternalInventory, 'partitions'>;
  readonly #settings: {
    /** Partition of jobs that name none; undefined for the external cluster's default. */
    partition: string | undefined;
    /** In seconds; the external cluster's own limit may be lower. */
    maxTime: number | 'UNLIMITED';
  };

  constructor(
    inventory: Pick<ExternalInventory, 'partitions'>,
    settings: {
      /** Partition of jobs that name none; undefined for the external cluster's default. */
      partition: string | undefined;
      /** In seconds; the external cluster's own limit may be lower. */
      maxTime: number | 'UNLIMITED';
    },
  ) {
    this.#inventory = inventory;
    this.#settings = settings;
  }

  forPartition(name: string | undefined): Target {
    const partition = this.partition(name);
    const limits = this.#limitsOf(partition);
    return {
      folderOwner: 'job-user',
      mayBeRemote: false,
      limits,
      problemWith: (request) => {
        const problem = checkScreen(request) ?? checkLimits(request, limits);
        if (problem) return problem;
        const choice = chooseExternalGpus(request, partition);
        return choice instanceof AppError ? choice : checkTogether(request, partition);
      },
      // The external cluster's own associations limit its users' GPUs.
      problemWithQuota: () => undefined,
      chooseGpus: (request) => {
        const choice = chooseExternalGpus(request, partition);
        if (choice instanceof AppError) throw choice;
        return choice;
      },
      scriptGpus: () => ({ gpus: [], shardsPerGpu: 1, gpuType: '' }),
    };
  }

  resolvePartition(request: JobRequest): JobRequest {
    return request;
  }

  // An external cluster's partition may well be called `ssh` or `any`.
  mayBeRemote(): boolean {
    return false;
  }

  isForFirstFree(): boolean {
    return false;
  }

  partitionOf({ partition }: Pick<JobRequest, 'partition'>): string | undefined {
    return partition ?? this.#settings.partition;
  }

  constraintOf(): undefined {
    return undefined;
  }

  /** Counts the most whole GPUs of a job that names no partition; 0 if it must name one. */
  gpusByDefault(): number {
    const found = this.find(undefined);
    return found ? maxGpus(found) : 0;
  }

  /** Finds a job's partition; undefined if it is gone, or if there is no default. */
  find(name: string | undefined): ExternalPartition | undefined {
    const wanted = name ?? this.#settings.partition;
    return this.#inventory
      .partitions()
      .find((one) => (wanted === undefined ? one.isDefault === true : one.name === wanted));
  }

  /** Finds a job's partition. @throws AppError unprocessable where {@link find} finds none */
  partition(name: string | undefined): ExternalPartition {
    const found = this.find(name);
    if (found) return found;
    const wanted = name ?? this.#settings.partition;
    const names = this.#inventory.partitions().map((one) => one.name);
    const message =
      wanted === undefined
        ? `name one of ${names.join(', ')}; the external cluster has no default (JR_SLURM_PARTITION sets one)`
        : `unknown partition "${wanted}"; available: ${names.join(', ')}`;
    throw fieldError('unprocessable', 'partition', message, { details: { partitions: names } });
  }

  #limitsOf(partition: ExternalPartition): NodeLimits {
    const { nodes, maxCpus, maxMemoryMb, maxTime, defaultTime } = partition;
    const cpus = Math.max(0, ...nodes.map((node) => node.cpus));
    const memory = Math.max(0, ...nodes.map(memoryOf));
    const time = least(maxTime, this.#settings.maxTime);
    return {
      cpus: Math.min(cpus, maxCpus ?? Infinity),
      memoryMb: Math.min(memory, maxMemoryMb ?? Infinity),
      maxTime: written(time),
      ...(defaultTime !== null && { defaultTime: written(least(time, defaultTime)) }),
    };
  }
}

function memoryOf(node: SlurmNode): number {
  return node.memoryMb === unsetMemoryMb ? Infinity : node.memoryMb;
}

function checkScreen({ screen }: JobRequest): AppError | undefined {
  if (!screen) return undefined;
  return fieldError(
    'unprocessable',
    'screen',
    'a session on an external cluster cannot be attached to from here; leave it out and follow the log',
  );
}

/** Returns a problem unless one node has everything that the job asks for. */
function checkTogether(request: JobRequest, partition: ExternalPartition): AppError | undefined {
  const { cpus, mem_gb, gpus, gpu_type } = request;
  const fits = (node: SlurmNode) => cpus <= node.cpus && memoryMbOf(request) <= memoryOf(node);
  if (nodesWith(request, partition).some(fits)) return undefined;
  const type = gpu_type === undefined ? '' : ` ${gpu_type}`;
  return fieldError(
    'unprocessable',
    'partition',
    `no node of ${partition.name} has ${cpus} CPU(s), ${mem_gb} GiB of memory and ${gpus}${type} GPU(s) together; ask for less`,
  );
}

function least(a: number | 'UNLIMITED', b: number | 'UNLIMITED'): number | 'UNLIMITED' {
  if (a === 'UNLIMITED') return b;
  return b === 'UNLIMITED' ? a : Math.min(a, b);
}

function written(time: number | 'UNLIMITED'): string {
  return time === 'UNLIMITED' ? time : formatTimeLimit(time);
}
