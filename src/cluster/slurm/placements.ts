/** The GPUs of a running job. */
export interface GpuPlacement {
  /** Node that has them. */
  node: string;
  /** Positions in gres.conf, which are our GPUs' indices. */
  indices: number[];
  /** Shards of each GPU. */
  shards: number;
}

/**
 * Reads `scontrol --details --oneliner show job`. For a job with 60 shards of the first of two
 * GPUs, 22.05 writes `GRES=shard:nvidia0:60(IDX:0),shard:nvidia1:0(IDX:)`. 24.11 writes the job's
 * shards and all shards of each GPU:
 * `GRES=shard:nvidia0:60(60/100,0/100),shard:nvidia1:0(0/100,0/100)`.
 * A job's name or comment may imitate such a field; that job is then left out.
 */
export function parsePlacements(output: string): Map<number, GpuPlacement> {
  const placements = new Map<number, GpuPlacement>();
  for (const line of output.split('\n')) {
    const jobId = /^JobId=(\d+)/.exec(line)?.[1];
    const [allotted, ...others] = line.matchAll(/ Nodes=(\S+) CPU_IDs=\S+ Mem=\d+ GRES=(\S*)/g);
    const [, node, gres] = allotted ?? [];
    if (jobId === undefined || node === undefined || gres === undefined || others.length > 0)
      continue;
    const placement = parseGres(gres);
    if (placement.indices.length > 0) placements.set(Number(jobId), { node, ...placement });
  }
  return placements;
}

function parseGres(text: string): Omit<GpuPlacement, 'node'> {
  const indices: number[] = [];
  let shards = 0;
  for (const [, count, places] of text.matchAll(
    /shard:\w+:(\d+)\((IDX:[\d,-]*|\d+\/\d+(?:,\d+\/\d+)*)\)/g,
  )) {
    if (Number(count) === 0 || places === undefined) continue;
    const list = /^IDX:(.*)$/.exec(places)?.[1];
    indices.push(...(list === undefined ? indicesInUse(places) : indicesOf(list)));
    shards = Number(count);
  }
  return { indices: [...new Set(indices)].sort((a, b) => a - b), shards };
}

function indicesOf(list: string): number[] {
  return list
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [first = NaN, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}

/**
 * Lists the GPUs with a share in use.
 * @param shares such as `0/100,60/100`, one for each GPU in order
 */
function indicesInUse(shares: string): number[] {
  return shares.split(',').flatMap((share, index) => (share.startsWith('0/') ? [] : [index]));
}
