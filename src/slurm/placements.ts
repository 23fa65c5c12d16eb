/** Which GPUs a running job has. */
export interface GpuPlacement {
  /** The node they are in. */
  node: string;
  /** Places in gres.conf, which are our GPUs' indices. */
  indices: number[];
  /** Of each of them. */
  shards: number;
}

/**
 * Reads `scontrol --details --oneliner show job`. 22.05 and 24.11 both write `GRES=shard:nvidia0:60(IDX:0),shard:nvidia1:0(IDX:)`.
 * A job's name and comment may hold anything, even such a field: then the job is left out.
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
  for (const [, count, places] of text.matchAll(/shard:\w+:(\d+)\(IDX:([\d,-]*)\)/g)) {
    if (Number(count) === 0) continue;
    indices.push(...indicesOf(places ?? ''));
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
