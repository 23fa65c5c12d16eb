import { z } from 'zod';
import { wordOrNull } from '../job-record.js';
import type { SlurmNode } from '../nodes.js';
import type { SlurmPartition } from '../site/partitions.js';
import { optionalNumber, text, words } from './value.js';

const node = z.object({
  name: z.string(),
  state: words,
  state_flags: words,
  partitions: z.array(z.string()),
  cpus: z.number(),
  alloc_cpus: z.number(),
  real_memory: z.number(),
  alloc_memory: z.number(),
  gres: text,
  gres_used: text,
  reason: text,
});

/** Reads the reply of `GET /slurm/…/nodes`: one record for each node in each of its partitions, as sinfo has it. @throws ZodError */
export function parseRestNodes(reply: unknown): SlurmNode[] {
  return z
    .object({ nodes: z.array(node) })
    .parse(reply)
    .nodes.flatMap((found) =>
      found.partitions.map((partition) => ({
        name: found.name,
        state: nodeState([...found.state, ...found.state_flags]),
        partition,
        cpus: found.cpus,
        cpusAllocated: found.alloc_cpus,
        memoryMb: found.real_memory,
        memoryAllocatedMb: found.alloc_memory,
        gres: wordOrNull(found.gres),
        gresUsed: wordOrNull(found.gres_used),
        reason: wordOrNull(found.reason),
      })),
    );
}

/** Base state and flags in sinfo's one word. */
function nodeState(list: string[]): string {
  const [base = 'unknown', ...flags] = list.map((word) => word.toLowerCase());
  const isBusy = base === 'allocated' || base === 'mixed';
  const state = flags.includes('drain') ? (isBusy ? 'draining' : 'drained') : base;
  return flags.includes('not_responding') ? `${state}*` : state;
}

/** Up to v0.0.38. */
const flatPartition = z.object({
  name: z.string(),
  flags: words,
  state: z.string(),
  max_time_limit: optionalNumber,
  default_time_limit: optionalNumber,
  maximum_memory_per_node: optionalNumber,
  maximum_cpus_per_node: optionalNumber,
});

/** Since v0.0.39. */
const nestedPartition = z.object({
  name: z.string(),
  partition: z.object({ state: words }),
  defaults: z.object({ time: optionalNumber }),
  maximums: z.object({
    time: optionalNumber,
    cpus_per_node: optionalNumber,
    partition_memory_per_node: optionalNumber,
  }),
});

/** Reads the reply of `GET /slurm/…/partitions`. @throws ZodError */
export function parseRestPartitions(reply: unknown): SlurmPartition[] {
  return z
    .object({ partitions: z.array(z.union([nestedPartition, flatPartition])) })
    .parse(reply)
    .partitions.map((found) => {
      if ('flags' in found)
        return {
          name: found.name,
          isDefault: found.flags.includes('default'),
          state: found.state,
          maxTime: seconds(found.max_time_limit) ?? 'UNLIMITED',
          defaultTime: seconds(found.default_time_limit),
          maxMemoryMb: limit(found.maximum_memory_per_node),
          maxCpus: limit(found.maximum_cpus_per_node),
        };
      return {
        name: found.name,
        isDefault: null,
        state: found.partition.state[0] ?? 'UP',
        maxTime: seconds(found.maximums.time) ?? 'UNLIMITED',
        defaultTime: seconds(found.defaults.time),
        maxMemoryMb: limit(found.maximums.partition_memory_per_node),
        maxCpus: limit(found.maximums.cpus_per_node),
      };
    });
}

/** Of minutes. 22.05 writes -1 and 2^32-1 for no end. */
function seconds(minutes: number | null): number | 'UNLIMITED' | null {
  if (minutes === null) return null;
  return minutes === Infinity || minutes < 0 || minutes >= 2 ** 32 - 2 ? 'UNLIMITED' : minutes * 60;
}

/** 0, -1 and 2^32-1 stand for none. */
function limit(count: number | null): number | null {
  return count === null || count <= 0 || count >= 2 ** 32 - 2 ? null : count;
}
