/** The GPUs of one node, or those in use there. */
export interface NodeGpus {
  /** Whole ones, by type; the empty text stands for GPUs without one. */
  whole: Map<string, number>;
  /** Shares, of all its GPUs together; 0 where the site has none. */
  shards: number;
}

/**
 * Reads what Slurm says a node has (`gpu:a100:2(S:0-1),shard:200`) or uses (`gpu:a100:1(IDX:0),shard:a100:0(0/100)`); see
 * gres.conf(5).
 */
export function readNodeGres(text: string | null): NodeGpus {
  const gpus: NodeGpus = { whole: new Map(), shards: 0 };
  // What stands in brackets has commas of its own.
  for (const part of (text ?? '').replace(/\([^)]*\)/g, '').split(',')) {
    const [, name, type = '', count] = /^(\w+)(?::([^:]+))?:(\d+)$/.exec(part) ?? [];
    if (name === 'gpu') gpus.whole.set(type, (gpus.whole.get(type) ?? 0) + Number(count));
    if (name === 'shard') gpus.shards += Number(count);
  }
  return gpus;
}

export function countOf({ whole }: NodeGpus): number {
  return [...whole.values()].reduce((sum, count) => sum + count, 0);
}
