import { NODE_NAME } from '../../config/layout.js';
import { formatOf, readRows } from './columns.js';
import { parseState, type SlurmState } from './states.js';

/** The partition of the placeholders that keep jobs off a paused GPU, see slurm/slurm.conf. */
export const HOLD_PARTITION = 'hold';

/** The same for the GPUs of worker boxes. */
export const HOLD_BOXES_PARTITION = 'hold-boxes';

const partitionOf = (node: string) => (node === NODE_NAME ? HOLD_PARTITION : HOLD_BOXES_PARTITION);

/** By it a box that leaves takes its placeholders along. */
export const holdNameOf = (node: string) => (node === NODE_NAME ? 'hold' : `hold-${node}`);

/** Slurm ends a placeholder that uses more than it asked for, and a shell that sleeps uses some MiB. */
const holdMemoryMb = 16;

export interface HoldReserve {
  cpus: number;
  memoryMb: number;
}

/**
 * What the node has beyond what jobs can get: one CPU and a little memory for each placeholder that can run. A GPU has one
 * for its free part and one for each job that shares it, which has a CPU of its own.
 */
export function holdReserve(cpus: number, gpus: number): HoldReserve {
  const placeholders = gpus === 0 ? 0 : cpus + gpus;
  return { cpus: placeholders, memoryMb: placeholders * holdMemoryMb };
}

/** A placeholder writes nothing and does nothing until it is cancelled. */
export const holdScript = '#!/bin/sh\nexec sleep infinity\n';

/** @param nice more of it lets other placeholders start first */
export function holdArguments(gres: string, comment: string, nice: number, node: string): string[] {
  return [
    '--parsable',
    '--export=ALL',
    `--comment=${comment}`,
    `--job-name=${holdNameOf(node)}`,
    `--partition=${partitionOf(node)}`,
    ...(node === NODE_NAME ? [] : [`--nodelist=${node}`]),
    `--gres=${gres}`,
    `--nice=${nice}`,
    `--mem=${holdMemoryMb}M`,
    '--time=UNLIMITED',
    '--chdir=/',
    '--output=/dev/null',
  ];
}

/** A placeholder that waits, holds, or is on its way out. */
export interface SlurmHold {
  slurmJobId: number;
  state: SlurmState;
  /** Shards of the one GPU it is for. */
  shards: number;
  /** What it was submitted with. */
  comment: string;
}

const columns = [
  ['JobID', 20],
  ['State', 20],
  ['tres-per-node', 80],
  ['Comment', 120],
] as const;

/** Nobody but the API's user can submit to the partition: what stands in it, no job can have forged. */
export function holdQueueArguments(node: string): string[] {
  return ['--noheader', '--all', `--partition=${partitionOf(node)}`, formatOf(columns)];
}

/** @throws Error on a line that cannot be read. */
export function parseHolds(output: string): SlurmHold[] {
  return readRows(columns, output).map((cell) => {
    // gres:shard:nvidia0:70 in 22.05, gres/shard:nvidia0:70 in 24.11.
    const shards = /shard:\w+:(\d+)$/.exec(cell['tres-per-node'])?.[1];
    if (!/^\d+$/.test(cell.JobID) || shards === undefined)
      throw new Error(`squeue printed a placeholder that cannot be read: ${cell.line.trim()}`);
    return {
      slurmJobId: Number(cell.JobID),
      state: parseState(cell.State),
      shards: Number(shards),
      comment: cell.Comment,
    };
  });
}
