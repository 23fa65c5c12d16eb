import { z } from 'zod';
import type { SlurmPartition } from '../external/partitions.js';
import { listIn, readRecord, type Kind, type TellUnread } from './read.js';
import { optionalNumber, text, words } from './value.js';

const flatSchema = z.object({
  name: z.string(),
  flags: words,
  state: text,
  max_time_limit: optionalNumber,
  default_time_limit: optionalNumber,
  maximum_memory_per_node: optionalNumber,
  maximum_cpus_per_node: optionalNumber,
});
/** Format up to v0.0.38. */
const flat: Kind<z.output<typeof flatSchema>> = {
  kind: 'partition',
  schema: flatSchema,
  nameIn: 'name',
  canLack: Object.keys(flatSchema.shape).filter((field) => field !== 'name'),
};

const nestedSchema = z.object({
  name: z.string(),
  partition: z.object({ state: words }).default({ state: [] }),
  defaults: z.object({ time: optionalNumber }).default({ time: null }),
  maximums: z.object({
    time: optionalNumber,
    cpus_per_node: optionalNumber,
    partition_memory_per_node: optionalNumber,
  }),
});
/** Format since v0.0.39. */
const nested: Kind<z.output<typeof nestedSchema>> = {
  kind: 'partition',
  schema: nestedSchema,
  nameIn: 'name',
  canLack: [
    ...['partition', 'defaults', 'maximums.time', 'maximums.cpus_per_node'],
    'maximums.partition_memory_per_node',
  ],
};

/**
 * Reads the reply of `GET /slurm/…/partitions`. A limit that cannot be read counts as unknown, and
 * Slurm enforces it. A partition that cannot be read is left out.
 * @throws SlurmError
 */
export function parseRestPartitions(reply: unknown, tell: TellUnread): SlurmPartition[] {
  return listIn('partitions', reply).flatMap((record): SlurmPartition | [] => {
    if (typeof record === 'object' && record !== null && 'maximums' in record) {
      const found = readRecord(nested, record, tell);
      if (found === undefined) return [];
      return {
        name: found.name,
        isDefault: null,
        state: found.partition.state[0] ?? 'UP',
        maxTime: seconds(found.maximums.time) ?? 'UNLIMITED',
        defaultTime: seconds(found.defaults.time),
        maxMemoryMb: limit(found.maximums.partition_memory_per_node),
        maxCpus: limit(found.maximums.cpus_per_node),
      };
    }
    const found = readRecord(flat, record, tell);
    if (found === undefined) return [];
    return {
      name: found.name,
      isDefault: found.flags.includes('default'),
      state: found.state || 'UP',
      maxTime: seconds(found.max_time_limit) ?? 'UNLIMITED',
      defaultTime: seconds(found.default_time_limit),
      maxMemoryMb: limit(found.maximum_memory_per_node),
      maxCpus: limit(found.maximum_cpus_per_node),
    };
  });
}

/** Converts minutes to seconds. 22.05 writes -1 and 2^32-1 for no limit. */
function seconds(minutes: number | null): number | 'UNLIMITED' | null {
  if (minutes === null) return null;
  return minutes === Infinity || minutes < 0 || minutes >= 2 ** 32 - 2 ? 'UNLIMITED' : minutes * 60;
}

/** Reads a limit; 0, -1 and 2^32-1 mean none. */
function limit(count: number | null): number | null {
  return count === null || count <= 0 || count >= 2 ** 32 - 2 ? null : count;
}
