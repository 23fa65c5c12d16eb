import { AppError } from '../errors.js';
import type { JobRequest } from '../jobs/job.js';
import { countOf, readNodeGres } from './gres.js';
import type { SitePartition } from './inventory.js';

function refuse(field: string, message: string, details: object = {}): never {
  throw new AppError('unprocessable', `${field}: ${message}`, { details: { field, ...details } });
}

/**
 * What sbatch's --gres takes for the GPUs that the job asks for; null for none. A share of one is the same part of the shards of a GPU
 * there.
 * @throws AppError unprocessable for what no node of the partition can give, saying why.
 */
export function gresFor(request: JobRequest, partition: SitePartition): string | null {
  const { gpus, gpu_type: type } = request;
  if (request.gpu_mem_gb !== undefined)
    refuse('gpu_mem_gb', 'the site does not tell how much memory its GPUs have; ask with gpus');
  if (request.allowed_gpus !== undefined)
    refuse('allowed_gpus', 'the site’s Slurm chooses the GPUs; leave it out, or name a gpu_type');
  if (gpus === 0) {
    if (type !== undefined) refuse('gpu_type', 'is for a job with GPUs; set gpus, too');
    return null;
  }
  const nodes = partition.nodes.map((node) => readNodeGres(node.gres));
  const types = [...new Set(nodes.flatMap((node) => [...node.whole.keys()]))].filter(Boolean);
  if (type !== undefined && !types.includes(type)) {
    const there = types.length === 0 ? 'no types of GPU' : types.join(', ');
    refuse('gpu_type', `there is no ${type} in partition ${partition.name}; there are ${there}`);
  }
  const amounts = nodes.map((node) =>
    type === undefined ? countOf(node) : (node.whole.get(type) ?? 0),
  );
  const most = Math.max(0, ...amounts);
  if (Math.ceil(gpus) > most)
    refuse('gpus', `${gpus} asked for, ${most} is the most a node of ${partition.name} has`, {
      asked: gpus,
      limit: most,
    });
  const named = type === undefined ? '' : `${type}:`;
  if (Number.isInteger(gpus)) return `gpu:${named}${gpus}`;
  const each = nodes
    .filter((node) => node.shards > 0 && countOf(node) > 0)
    .map((node) => node.shards / countOf(node));
  if (each.length === 0)
    refuse(
      'gpus',
      `${gpus} of a GPU asked for, and partition ${partition.name} gives whole GPUs only (its Slurm has no shards); ask for 1`,
    );
  if (type !== undefined) refuse('gpu_type', 'is for whole GPUs; leave it out for a share');
  // Where GPUs are cut into different numbers of shares, never less than what was asked for.
  return `shard:${Math.ceil(gpus * Math.max(...each) - 1e-9)}`;
}

/** The most whole GPUs that a job can have there. */
export function mostGpus(partition: SitePartition): number {
  return Math.max(0, ...partition.nodes.map((node) => countOf(readNodeGres(node.gres))));
}
