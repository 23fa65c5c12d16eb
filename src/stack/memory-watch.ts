import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf } from '../errors.js';
import type { Layout } from '../layout.js';
import { jobProcesses, killAll, scontrol } from './job-processes.js';

const lookMs = 1000;
const pageBytes = 4096;

/** CAP_SYS_PTRACE in the masks of /proc/<pid>/status (capabilities(7)). */
const sysPtrace = 1n << 19n;

/**
 * Whether Slurm's own watching (OverMemoryKill) works here. slurmstepd gives up on a process whose /proc/<pid>/io it may not
 * read, which takes CAP_SYS_PTRACE; containers do not have it by default. Seen with 24.11.
 */
export function slurmCanWatchMemory(status = readFileSync('/proc/self/status', 'utf8')): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return mask !== undefined && (BigInt(`0x${mask}`) & sysPtrace) !== 0n;
}

/** Does what OverMemoryKill does, where Slurm cannot: ends jobs that use more memory than they asked for, and says so in their log. */
export async function watchMemory(
  layout: Layout,
  warn: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await endWhatIsOver();
    } catch (error) {
      warn(`looking at the jobs’ memory failed: ${String(error)}`);
    }
    await delay(lookMs, undefined, { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }

  async function endWhatIsOver(): Promise<void> {
    for (const [jobId, pids] of await jobProcesses(layout)) {
      const used = sum(pids.map(residentBytes));
      const limit = Math.max(...pids.map(residentLimit));
      if (!Number.isFinite(limit) || used <= limit) continue;
      // The words are slurmstepd's own, so that whoever reads the log need know only them.
      const words = `StepId=${jobId}.batch exceeded memory limit (${used} > ${limit}), being killed`;
      await scontrol(layout, 'notify', String(jobId), words);
      warn(words);
      killAll(pids);
    }
  }
}

function residentBytes(pid: number): number {
  return Number(ofProcess(pid, 'statm').split(' ')[1] ?? 0) * pageBytes;
}

/** slurmstepd sets the job's memory as its hard limit of resident memory, which the kernel itself ignores (getrlimit(2)). */
function residentLimit(pid: number): number {
  const hard = /^Max resident set\s+\S+\s+(\d+)\s/m.exec(ofProcess(pid, 'limits'))?.[1];
  return hard === undefined ? -Infinity : Number(hard);
}

function ofProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    // It has ended meanwhile.
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return '';
    throw error;
  }
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}
