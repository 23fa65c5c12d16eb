import { parseTimeLimit } from '../../../config/time-limit.js';

/** A partition and its limits for one job. Times in seconds; null for an unstated limit. */
export interface SlurmPartition {
  name: string;
  /** Null if Slurm does not say, as with slurmrestd since 23.11. */
  isDefault: boolean | null;
  /** `UP`, `DOWN`, `DRAIN` or `INACTIVE`. */
  state: string;
  maxTime: number | 'UNLIMITED';
  defaultTime: number | 'UNLIMITED' | null;
  /** Limit on one node, in MiB. */
  maxMemoryMb: number | null;
  /** Limit on one node. */
  maxCpus: number | null;
}

export function partitionArguments(): string[] {
  return ['--oneliner', 'show', 'partition'];
}

/**
 * Reads `scontrol --oneliner show partition`, in which no value has a space.
 * @throws Error on a line that cannot be read.
 */
export function parsePartitions(output: string): SlurmPartition[] {
  return output
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^No partitions/.test(line))
    .map((line) => {
      const pairs = line
        .trim()
        .split(/\s+/)
        .map((pair): [string, string] => {
          const at = pair.indexOf('=');
          return [pair.slice(0, at), pair.slice(at + 1)];
        });
      const field = Object.fromEntries(pairs);
      const maxTime = parseTimeLimit(field['MaxTime'] ?? '');
      const name = field['PartitionName'];
      if (name === undefined || maxTime === undefined)
        throw new Error(`scontrol printed a line that cannot be read: ${line}`);
      return {
        name,
        isDefault: field['Default'] === 'YES',
        state: field['State'] ?? 'UP',
        maxTime,
        defaultTime: parseTimeLimit(field['DefaultTime'] ?? '') ?? null,
        maxMemoryMb: countOf(field['MaxMemPerNode']),
        maxCpus: countOf(field['MaxCPUsPerNode']),
      };
    });
}

function countOf(text = ''): number | null {
  return /^[1-9]\d*$/.test(text) ? Number(text) : null;
}
