import { isJobUser } from '../../config/unix-users.js';
import type { SmiProcess, SmiUsage } from './nvidia-smi-output.js';

/** Fractions of 1. */
export interface Thresholds {
  memory: number;
  load: number;
}

export interface GpuProcess {
  pid: number;
  name: string;
  memory_mb: number | null;
  /** Null when it is not known, as for a process of the host. */
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
 * Why a busy GPU is held back, or undefined when it is our own jobs that keep it busy. Where nvidia-smi lists no process that
 * can be found here, whoever is on a GPU without a job of ours is a stranger.
 */
export function foreignProcessesOn(
  usage: SmiUsage,
  processes: readonly GpuProcess[],
  hasJobs: boolean,
  thresholds: Thresholds,
): string | undefined {
  if (!isBusy(usage, thresholds)) return undefined;
  const strangers = processes.filter((process) => process.user !== null && !isOurs(process));
  const unseen = processes.filter(({ user }) => user === null);
  const areOurs = hasJobs || processes.some(isOurs);
  const blamed = strangers.length > 0 ? strangers : areOurs ? [] : unseen;
  if (blamed.length === 0 && areOurs) return undefined;
  // Beside jobs of ours, strangers answer for no more memory than is theirs. Whose the load is, nobody says.
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
  const most = [...processes].sort((a, b) => (b.memory_mb ?? 0) - (a.memory_mb ?? 0));
  const shown = most
    .slice(0, 3)
    .map(({ pid, name, user }) => `${name} (pid ${pid}, ${user ?? 'user unknown'})`);
  const more = most.length > 3 ? ` and ${most.length - 3} more` : '';
  return `${shown.join(', ')}${more}`;
}
