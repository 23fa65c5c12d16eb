/** The partition of the placeholders that keep jobs off a paused GPU, see slurm/slurm.conf. */
export const HOLD_PARTITION = 'hold';

/**
 * What the node has beyond what jobs can get: one CPU and one MiB for each placeholder there can be. A GPU has one for its
 * free part and one for each job that shares it, which has a CPU of its own.
 */
export function holdReserve(cpus: number, gpus: number): { cpus: number; memoryMb: number } {
  const placeholders = gpus === 0 ? 0 : cpus + gpus;
  return { cpus: placeholders, memoryMb: placeholders };
}

/** A placeholder writes nothing and does nothing until it is cancelled. */
export const holdScript = '#!/bin/sh\nexec sleep infinity\n';

export function holdArguments(gres: string, comment: string): string[] {
  return [
    '--parsable',
    '--export=NIL',
    `--comment=${comment}`,
    '--job-name=hold',
    `--partition=${HOLD_PARTITION}`,
    `--gres=${gres}`,
    '--mem=1M',
    '--time=UNLIMITED',
    '--chdir=/',
    '--output=/dev/null',
  ];
}
