import { NODE_NAME } from '../../config/layout.js';
import { formatOf, readRows } from './columns.js';
import { parseState, type SlurmState } from './states.js';

/** The partition of the placeholders that keep jobs off a paused GPU, see slurm/slurm.conf. */
export const PLACEHOLDER_PARTITION = 'hold';

/** The same for the GPUs of workers. */
export const PLACEHOLDER_WORKERS_PARTITION = 'hold-workers';

const partitionOf = (node: string) =>
  node === NODE_NAME ? PLACEHOLDER_PARTITION : PLACEHOLDER_WORKERS_PARTITION;

/** By it a worker that leaves takes its placeholders along. */
export const placeholderNameOf = (node: string) => (node === NODE_NAME ? 'hold' : `hold-${node}`);

/** Slurm ends a placeholder that uses more than it asked for, and a shell that sleeps uses some MiB. */
const placeholderMemoryMb = 16;

export interface PlaceholderReserve {
  cpus: number;
  memoryMb: number;
}

/**
 * What the node has beyond what jobs can get: one CPU and a little memory for each placeholder that can run. A GPU has one
 * for its free part and one for each job that shares it, which has a CPU of its own.
 */
export function placeholderReserve(cpus: number, gpus: number): PlaceholderReserve {
  const placeholders = gpus === 0 ? 0 : cpus + gpus;
  return { cpus: placeholders, memoryMb: placeholders * placeholderMemoryMb };
}

/** A placeholder writes nothing and does nothing until it is cancelled. */
export const placeholderScript = '#!/bin/sh\nexec sleep infinity\n';

/** @param nice more of it lets other placeholders start first */
export function placeholderArguments(
  gres: string,
  comment: string,
  nice: number,
  node: string,
): string[] {
  return [
    '--parsable',
    '--export=ALL',
    `--comment=${comment}`,
    `--job-name=${placeholderNameOf(node)}`,
    `--partition=${partitionOf(node)}`,
    ...(node === NODE_NAME ? [] : [`--nodelist=${node}`]),
    `--gres=${gres}`,
    `--nice=${nice}`,
    `--mem=${placeholderMemoryMb}M`,
    '--time=UNLIMITED',
    '--chdir=/',
    '--output=/dev/null',
  ];
}

/** A placeholder that waits, holds, or is on its way out. */
export interface Placeholder {
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
export function placeholderQueueArguments(node: string): string[] {
  return ['--noheader', '--all', `--partition=${partitionOf(node)}`, formatOf(columns)];
}

/** @throws Error on a line that cannot be read. */
export function parsePlaceholders(output: string): Placeholder[] {
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
