/**
 * The GPUs of one node, or those in use there, by type; the empty text stands for GPUs without a
 * type.
 */
export interface NodeGpus {
  whole: Map<string, number>;
  /**
   * Shares of all GPUs of that type together. If Slurm reports types at all, it also reports those
   * of shares (tried).
   */
  shards: Map<string, number>;
}

/** Suffixes of counts that a power of 1024 divides (gres.c). */
const suffixes = ['', 'K', 'M', 'G', 'T', 'P'];

/**
 * Reads the GRES that a node has (`gpu:a100:2(S:0-1),shard:a100:1K`) or uses
 * (`gpu:a100:1(IDX:0),shard:(null):3(3/4,0/4)`); see gres.conf(5).
 */
export function readNodeGres(text: string | null): NodeGpus {
  const gpus: NodeGpus = { whole: new Map(), shards: new Map() };
  for (const { name, type, count } of partsOf(text)) {
    const counts = name === 'gpu' ? gpus.whole : name === 'shard' ? gpus.shards : undefined;
    counts?.set(type, (counts.get(type) ?? 0) + count);
  }
  return gpus;
}

/**
 * Counts the shares in use.
 * @returns null if Slurm does not say: 22.05 counts the GPUs with shares in use, not the shares
 * (tried)
 */
export function usedShards(text: string | null): number | null {
  const shards = partsOf(text).filter(({ name }) => name === 'shard');
  if (shards.some(({ count, said }) => count > 0 && said.includes('(IDX:'))) return null;
  return shards.reduce((sum, { count }) => sum + count, 0);
}

export function sumOf(counts: Map<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

/**
 * Returns the shares of a GPU for each type that has any; a share is of one GPU alone.
 * @param type undefined for all types
 */
export function sharesPerGpu({ whole, shards }: NodeGpus, type?: string): number[] {
  const types = type === undefined ? [...whole.keys()] : [type];
  const told = types.map((one) => (shards.get(one) ?? 0) / (whole.get(one) ?? 0));
  // A node that has not come up yet has its configured GRES, which may leave out the types of
  // shares.
  const untyped = type === undefined ? (shards.get('') ?? 0) / sumOf(whole) : 0;
  return [...told, untyped].filter((each) => each > 0 && Number.isFinite(each));
}

function partsOf(text: string | null) {
  // Text in brackets has commas of its own.
  const parts = (text ?? '').match(/(?:\([^)]*\)|[^,(])+/g) ?? [];
  return parts.flatMap((said) => {
    const plain = said.replace(':(null):', '::').replace(/\([^)]*\)/g, '');
    const [, name, type = '', count, suffix = ''] =
      /^(\w+)(?::([^:]*))?:(\d+)([KMGTP]?)$/.exec(plain) ?? [];
    if (name === undefined) return [];
    return { name, type, count: Number(count) * 1024 ** suffixes.indexOf(suffix), said };
  });
}
