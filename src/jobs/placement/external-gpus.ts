import { type AppError, fieldError } from '../../errors.js';
import type { JobRequest } from '../job.js';
import type { GpuChoice } from '../../cluster/gpus/request.js';
import type { SlurmNode } from '../../cluster/slurm/nodes.js';
import { readNodeGres, sharesPerGpu, sumOf, type NodeGpus } from '../../cluster/external/gres.js';
import type { ExternalPartition } from '../../cluster/external/inventory.js';

function problem(field: string, message: string, details = {}): AppError {
  return fieldError('unprocessable', field, message, { details });
}

/**
 * Chooses the GPUs that sbatch asks for; null for none. A share of a GPU is the same part of its
 * shards there.
 * @returns an AppError, unprocessable with the reason, when no node of the partition can give that
 */
export function chooseExternalGpus(
  request: JobRequest,
  partition: ExternalPartition,
): GpuChoice | null | AppError {
  const { gpus, gpu_type: type } = request;
  if (request.gpu_mem_gb !== undefined)
    return problem(
      'gpu_mem_gb',
      'the external cluster does not report the memory of its GPUs; ask with gpus',
    );
  if (request.allowed_gpus !== undefined)
    return problem(
      'allowed_gpus',
      'the external Slurm chooses the GPUs; leave it out, or name a gpu_type',
    );
  if (gpus === 0) {
    if (type !== undefined) return problem('gpu_type', 'is for a job with GPUs; set gpus, too');
    return null;
  }
  const nodes = partition.nodes.map((node) => readNodeGres(node.gres));
  const types = [...new Set(nodes.flatMap((node) => [...node.whole.keys()]))].filter(Boolean);
  if (type !== undefined && !types.includes(type)) {
    const there = types.length === 0 ? 'none' : types.join(', ');
    return problem('gpu_type', `partition ${partition.name} has no ${type}; available: ${there}`, {
      gpu_types: types,
    });
  }
  const max = Math.max(0, ...nodes.map((node) => countOf(node, type)));
  if (Math.ceil(gpus) > max)
    return problem(
      'gpus',
      `${gpus} requested; ${max} is the most a node of ${partition.name} has`,
      {
        asked: gpus,
        limit: max,
      },
    );
  const named = type === undefined ? '' : `${type}:`;
  if (Number.isInteger(gpus)) return { gres: `gpu:${named}${gpus}`, gpu_shards: null };
  const shares = sharesFor(request, nodes);
  if (shares === 0)
    return problem(
      'gpus',
      `${gpus} of a GPU requested, but partition ${partition.name} gives only whole ${type ?? 'GPU'}s (its Slurm has no shards of them); ask for 1`,
    );
  return { gres: `shard:${named}${shares}`, gpu_shards: null };
}

/**
 * Counts the shards for a share of a GPU; 0 where GPUs have no shards. Where GPUs have different
 * numbers of them, the share is never smaller than requested.
 */
function sharesFor({ gpus, gpu_type: type }: JobRequest, nodes: NodeGpus[]): number {
  const max = Math.max(0, ...nodes.flatMap((node) => sharesPerGpu(node, type)));
  return Math.ceil(gpus * max - 1e-9);
}

/**
 * Returns the nodes of the partition that have the GPUs, for a request that
 * {@link chooseExternalGpus} accepts.
 */
export function nodesWith(request: JobRequest, { nodes }: ExternalPartition): SlurmNode[] {
  const { gpus, gpu_type: type } = request;
  const read = nodes.map((node) => readNodeGres(node.gres));
  const shares = Number.isInteger(gpus) ? undefined : sharesFor(request, read);
  return nodes.filter((_node, at) => {
    const there = read[at] as NodeGpus;
    return shares === undefined
      ? gpus <= countOf(there, type)
      : sharesPerGpu(there, type).some((each) => each >= shares);
  });
}

function countOf({ whole }: NodeGpus, type: string | undefined): number {
  return type === undefined ? sumOf(whole) : (whole.get(type) ?? 0);
}

/** Counts the most whole GPUs that a job can have there. */
export function maxGpus(partition: ExternalPartition): number {
  return Math.max(0, ...partition.nodes.map((node) => sumOf(readNodeGres(node.gres).whole)));
}
