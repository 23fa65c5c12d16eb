import { constants, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { every } from '../../every.js';
import { errnoOf } from '../../errors.js';
import type { Layout } from '../../config/layout.js';
import { jobProcesses, killAll, scontrol, signalAll } from './job-processes.js';

const lookMs = 1000;
const pageBytes = 4096;
/** How long a job's log is waited for to hold the words, and how much of its end is read. */
const tellMs = 5000;
const tailBytes = 64 * 1024;

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
  await every(lookMs, signal, endWhatIsOver, (error) => {
    warn(`looking at the jobs’ memory failed: ${String(error)}`);
  });

  async function endWhatIsOver(): Promise<void> {
    for (const [jobId, pids] of await jobProcesses(layout)) {
      const used = sum(pids.map(residentBytes));
      const limit = Math.max(...pids.map(residentLimit));
      if (!Number.isFinite(limit) || used <= limit) continue;
      // The words are slurmstepd's own, so that whoever reads the log need know only them.
      const words = `StepId=${jobId}.batch exceeded memory limit (${used} > ${limit}), being killed`;
      warn(words);
      // It takes no more, and does not end before its log says why.
      signalAll(pids, 'SIGSTOP');
      try {
        await tell(layout, jobId, words);
      } finally {
        killAll(pids);
      }
    }
  }
}

/** Returns once the words stand in the job's log: slurmctld answers before slurmstepd has them, and a job that has ended hears nothing. */
async function tell(layout: Layout, jobId: number, words: string): Promise<void> {
  await scontrol(layout, 'notify', String(jobId), words);
  const job = (await scontrol(layout, '--oneliner', 'show', 'job', String(jobId))) ?? '';
  // A job's name may hold such a field, too.
  const [path, ...others] = [...job.matchAll(/ StdErr=(\S+)/g)].map(([, text]) => text);
  if (path === undefined || others.length > 0) return;
  const deadline = Date.now() + tellMs;
  while (!(await tailOf(path)).includes(words) && Date.now() < deadline) await delay(50);
}

/** The end of a file whose folder the job may write to: no link is followed, and nothing but a file is read. */
async function tailOf(path: string): Promise<string> {
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
  const file = await open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW).catch((error: unknown) => {
    // The job has removed its log, or put a link in its place.
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ELOOP') return undefined;
    throw error;
  });
  if (file === undefined) return '';
  try {
    const stats = await file.stat();
    if (!stats.isFile()) return '';
    const from = Math.max(0, stats.size - tailBytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(tailBytes), 0, tailBytes, from);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await file.close();
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
