import { isJobUser } from '../../config/unix-users.js';
import type { SmiProcess, SmiUsage } from './nvidia-smi-output.js';

/** Thresholds as fractions of 1. */
export interface Thresholds {
  memory: number;
  load: number;
}

export interface GpuProcess {
  pid: number;
  name: string;
  memory_mb: number | null;
  /** User; null if unknown, as for a process of the host. */
  user: string | null;
}

const isOurs = ({ user }: GpuProcess) => user !== null && isJobUser(user);

export function isBusy(
  { memoryUsedMb: used, memoryTotalMb: total, load }: SmiUsage,
  thresholds: Thresholds,
): boolean {
  const memory = used !== null && total !== null && total > 0 ? used / total : 0;
  return memory > thresholds.memory || (load ?? 0) / 100 > thresholds.load;
}

export function withOwner(
  { pid, name, memoryMb }: SmiProcess,
  ownerOf: (pid: number) => string | undefined,
): GpuProcess {
  return { pid, name, memory_mb: memoryMb, user: ownerOf(pid) ?? null };
}

/**
 * Returns why a busy GPU is to be closed; undefined if our own jobs keep it busy. If nvidia-smi
 * lists no process that exists here, a GPU without our jobs is in foreign use.
 */
export function foreignProcessesOn(
  usage: SmiUsage,
  processes: readonly GpuProcess[],
  hasJobs: boolean,
  thresholds: Thresholds,
): string | undefined {
  if (!isBusy(usage, thresholds)) return undefined;
  const foreign = processes.filter((process) => process.user !== null && !isOurs(process));
  const unseen = processes.filter(({ user }) => user === null);
  const areOurs = hasJobs || processes.some(isOurs);
  const blamed = foreign.length > 0 ? foreign : areOurs ? [] : unseen;
  if (blamed.length === 0 && areOurs) return undefined;
  // Beside our jobs, only the memory of the foreign processes counts. Nobody reports which process
  // causes the load.
  const { memoryUsedMb: used, memoryTotalMb: total } = usage;
  const theirs = areOurs ? blamed.reduce((sum, { memory_mb: mb }) => sum + (mb ?? 0), 0) : used;
  if (!isBusy({ ...usage, memoryUsedMb: theirs, memoryTotalMb: total }, thresholds))
    return undefined;
  return `${figures(usage)}, used by ${blamed.length === 0 ? 'processes that cannot be seen from here' : words(blamed)}`;
}

function figures({ memoryUsedMb: used, memoryTotalMb: total, load }: SmiUsage): string {
  const memory = used === null ? 'unknown memory' : `${used} of ${total ?? '?'} MiB`;
  return load === null ? memory : `${memory} and ${load}% of its time`;
}

function words(processes: readonly GpuProcess[]): string {
  const bySize = [...processes].sort((a, b) => (b.memory_mb ?? 0) - (a.memory_mb ?? 0));
  const shown = bySize
    .slice(0, 3)
    .map(({ pid, name, user }) => `${name} (pid ${pid}, ${user ?? 'user unknown'})`);
  const more = bySize.length > 3 ? ` and ${bySize.length - 3} more` : '';
  return `${shown.join(', ')}${more}`;
}
