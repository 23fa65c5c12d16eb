import { constants, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { every } from '../../every.js';
import { errnoOf } from '../../errors.js';
import type { Layout } from '../../config/layout.js';
import { jobProcesses, killAll, scontrol, signalAll } from './job-processes.js';

const lookMs = 1000;
const pageBytes = 4096;
/** The longest wait for the words in a job's log, and the bytes to search at the log's end. */
const tellMs = 5000;
const tailBytes = 64 * 1024;

/** CAP_SYS_PTRACE in the masks of /proc/<pid>/status (capabilities(7)). */
const sysPtrace = 1n << 19n;

/**
 * Returns whether Slurm's own memory watch (OverMemoryKill) works here. slurmstepd gives up on a
 * process whose /proc/<pid>/io it may not read. Reading it takes CAP_SYS_PTRACE, which containers
 * lack by default. Seen with 24.11.
 */
export function slurmCanWatchMemory(status = readFileSync('/proc/self/status', 'utf8')): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return mask !== undefined && (BigInt(`0x${mask}`) & sysPtrace) !== 0n;
}

/**
 * Replaces OverMemoryKill where Slurm's own does not work: ends jobs that use more memory than they
 * asked for, and notes it in their log.
 * @param node this machine's name in Slurm
 */
export async function watchMemory(
  layout: Layout,
  node: string,
  warn: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  await every(lookMs, signal, endWhatIsOver, (error) => {
    warn(`the watch over the jobs’ memory failed: ${String(error)}`);
  });

  async function endWhatIsOver(): Promise<void> {
    for (const [jobId, pids] of await jobProcesses(layout, node)) {
      const used = sum(pids.map(residentBytes));
      const limit = Math.max(...pids.map(residentLimit));
      if (!Number.isFinite(limit) || used <= limit) continue;
      // Use slurmstepd's own words, so that readers of the log need to know only those.
      const words = `StepId=${jobId}.batch exceeded memory limit (${used} > ${limit}), being killed`;
      warn(words);
      // Stopped, it takes no more memory, and does not end before its log names the reason.
      signalAll(pids, 'SIGSTOP');
      try {
        await tell(layout, jobId, words);
      } finally {
        killAll(pids);
      }
    }
  }
}

/**
 * Writes to the job's log and waits for the words: slurmctld answers before slurmstepd has them,
 * and an ended job gets none.
 */
async function tell(layout: Layout, jobId: number, words: string): Promise<void> {
  await scontrol(layout, 'notify', String(jobId), words);
  const job = (await scontrol(layout, '--oneliner', 'show', 'job', String(jobId))) ?? '';
  // A job's name may contain such a field, too.
  const [path, ...others] = [...job.matchAll(/ StdErr=(\S+)/g)].map(([, text]) => text);
  if (path === undefined || others.length > 0) return;
  const deadline = Date.now() + tellMs;
  while (!(await tailOf(path)).includes(words) && Date.now() < deadline) await delay(50);
}

/**
 * Reads the end of a file in a folder that the job may write to: follows no link, and reads only a
 * file.
 */
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

/**
 * Returns the job's memory limit in bytes. slurmstepd sets it as the hard limit of resident memory,
 * which the kernel ignores (getrlimit(2)).
 */
function residentLimit(pid: number): number {
  const hard = /^Max resident set\s+\S+\s+(\d+)\s/m.exec(ofProcess(pid, 'limits'))?.[1];
  return hard === undefined ? -Infinity : Number(hard);
}

function ofProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    // The process has ended meanwhile.
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return '';
    throw error;
  }
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}
