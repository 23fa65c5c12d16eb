import { z } from 'zod';
import { wordOrNull } from '../job-record.js';
import type { SlurmNode } from '../nodes.js';
import { listIn, readRecord, type Kind, type TellUnread } from './read.js';
import { names, optionalNumber, text, words } from './value.js';

const schema = z.object({
  name: z.string(),
  state: words,
  state_flags: words,
  partitions: names,
  cpus: z.number(),
  alloc_cpus: optionalNumber,
  real_memory: z.number(),
  alloc_memory: optionalNumber,
  gres: text,
  gres_used: text,
  reason: text,
});
const node: Kind<z.output<typeof schema>> = {
  kind: 'node',
  schema,
  nameIn: 'name',
  canLack: ['state', 'state_flags', 'alloc_cpus', 'alloc_memory', 'gres_used', 'reason'],
};

/**
 * Reads the reply of `GET /slurm/…/nodes`. Returns one record for each node in each of its
 * partitions, as sinfo does. A node that cannot be read is left out.
 * @throws SlurmError
 */
export function parseRestNodes(reply: unknown, tell: TellUnread): SlurmNode[] {
  return listIn('nodes', reply).flatMap((record) => {
    const found = readRecord(node, record, tell);
    if (found === undefined) return [];
    return found.partitions.map((partition) => ({
      name: found.name,
      state: nodeState([...found.state, ...found.state_flags]),
      partition,
      cpus: found.cpus,
      cpusAllocated: found.alloc_cpus ?? 0,
      memoryMb: found.real_memory,
      memoryAllocatedMb: found.alloc_memory ?? 0,
      gres: wordOrNull(found.gres),
      gresUsed: wordOrNull(found.gres_used),
      reason: wordOrNull(found.reason),
    }));
  });
}

/** Joins the base state and flags into sinfo's one word. */
function nodeState(list: string[]): string {
  const [base = 'unknown', ...flags] = list.map((word) => word.toLowerCase());
  const isBusy = base === 'allocated' || base === 'mixed';
  const state = flags.includes('drain') ? (isBusy ? 'draining' : 'drained') : base;
  return flags.includes('not_responding') ? `${state}*` : state;
}
