import { NODE_NAME } from '../../config/layout.js';
import { formatOf, readRows } from './columns.js';
import { parseState, type SlurmState } from './states.js';

/** Partition of the placeholders that close this machine's GPUs; see slurm/slurm.conf. */
export const PLACEHOLDER_PARTITION = 'hold';

/** Partition of the placeholders that close workers' GPUs. */
export const PLACEHOLDER_WORKERS_PARTITION = 'hold-workers';

const partitionOf = (node: string) =>
  node === NODE_NAME ? PLACEHOLDER_PARTITION : PLACEHOLDER_WORKERS_PARTITION;

/** Names a node's placeholders, so that they can be removed when a worker leaves. */
export const placeholderNameOf = (node: string) => (node === NODE_NAME ? 'hold' : `hold-${node}`);

/** Slurm ends a placeholder that uses more than it requested; a sleeping shell uses some MiB. */
const placeholderMemoryMb = 16;

export interface PlaceholderReserve {
  cpus: number;
  memoryMb: number;
}

/**
 * Computes the resources that a node has beyond those for jobs. Each placeholder that can run needs
 * one CPU and a little memory. A GPU has one placeholder for its free part, and one for each job
 * that shares it. Each such job has its own CPU.
 */
export function placeholderReserve(cpus: number, gpus: number): PlaceholderReserve {
  const placeholders = gpus === 0 ? 0 : cpus + gpus;
  return { cpus: placeholders, memoryMb: placeholders * placeholderMemoryMb };
}

/** Script of a placeholder, which does nothing until it is cancelled. */
export const placeholderScript = '#!/bin/sh\nexec sleep infinity\n';

/**
 * Builds sbatch's arguments for a placeholder.
 * @param nice a higher value lets other placeholders start first
 */
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

/** A placeholder that waits, closes its GPU, or is ending. */
export interface Placeholder {
  slurmJobId: number;
  state: SlurmState;
  /** Shards of its one GPU. */
  shards: number;
  /** Comment from its submission. */
  comment: string;
}

const columns = [
  ['JobID', 20],
  ['State', 20],
  ['tres-per-node', 80],
  ['Comment', 120],
] as const;

/**
 * Selects a node's placeholders. No job can forge one: only the API's user can submit to the
 * partition.
 */
export function placeholderQueueArguments(node: string): string[] {
  return ['--noheader', '--all', `--partition=${partitionOf(node)}`, formatOf(columns)];
}

/** @throws Error on a line that cannot be read. */
export function parsePlaceholders(output: string): Placeholder[] {
  return readRows(columns, output).map((cell) => {
    // 22.05 prints gres:shard:nvidia0:70, 24.11 gres/shard:nvidia0:70.
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
