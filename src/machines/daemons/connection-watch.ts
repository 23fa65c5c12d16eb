import { statSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { packageRoot } from '../../config/package-root.js';
import type { Layout } from '../../config/layout.js';
import type { UnixUser } from '../../config/unix-users.js';
import { errnoOf } from '../../errors.js';
import { every } from '../../every.js';
import { heldConnectionsLine } from '../../jobs/held-connections.js';
import { jobProcesses, killAll, signalAll } from './job-processes.js';
import { connectionsTo, type LocalConnection } from './tcp-tables.js';
import type { UnixUsers } from './unix-users.js';

const lookMs = 1000;
/**
 * The most connections that a job may have to the daemons at once. `squeue` in a job has one, for
 * the two seconds in which it tries to reach munge.
 */
const maxConnections = 16;
/** The looks in a row that may find the same connection. */
const maxLooks = 5;
/** The longest run of the helper, in milliseconds; it ends by itself before. */
const helperMs = 15_000;
const helper = join(packageRoot, 'libexec', 'job-connections.pl');

export interface ConnectionWatchParts {
  layout: Layout;
  /** The node of the jobs that run on this machine. */
  node: string;
  unixUsers: Pick<UnixUsers, 'jobs' | 'jobsGroup'>;
  /** Returns the names of the daemons by port. */
  daemons: () => ReadonlyMap<number, string>;
  warn: (line: string) => void;
}

/**
 * Ends jobs that hold connections to the daemons until `signal` fires. slurmctld and slurmd serve
 * 256 connections at once and give each ten seconds, so a few hundred idle ones stop the cluster.
 */
export async function watchConnections(
  parts: ConnectionWatchParts,
  signal: AbortSignal,
): Promise<void> {
  const watch = new ConnectionWatch(parts);
  await every(
    lookMs,
    signal,
    () => watch.look(),
    (error) => parts.warn(`the watch over the jobs’ connections failed: ${String(error)}`),
  );
}

/** A process of a job's user. */
interface Holder {
  pid: number;
  /** The Slurm job in its environment, which the process can change. */
  claimedJob: number | undefined;
  /** Inodes of the connections it holds; undefined when it hides its files. */
  inodes: string[] | undefined;
}

class ConnectionWatch {
  readonly #parts: ConnectionWatchParts;
  /** The looks in a row that found each connection, by inode. */
  #looks = new Map<string, number>();

  constructor(parts: ConnectionWatchParts) {
    this.#parts = parts;
  }

  async look(): Promise<void> {
    const found = await this.#connections();
    this.#looks = new Map(found.map(({ inode }) => [inode, (this.#looks.get(inode) ?? 0) + 1]));
    for (const user of this.#parts.unixUsers.jobs) {
      const ofUser = found.filter(({ uid }) => uid === user.uid);
      if (this.#isTooMuch(ofUser)) await this.#endHolders(user, ofUser);
    }
  }

  /** Returns the connections of all jobs. */
  async #connections(): Promise<LocalConnection[]> {
    const { daemons, unixUsers } = this.#parts;
    const ofJobs = new Set(unixUsers.jobs.map(({ uid }) => uid));
    const all = await connectionsTo(new Set(daemons().keys()));
    return all.filter(({ uid }) => ofJobs.has(uid));
  }

  #isTooMuch(connections: readonly LocalConnection[]): boolean {
    return (
      connections.length > maxConnections ||
      connections.some(({ inode }) => (this.#looks.get(inode) ?? 0) > maxLooks)
    );
  }

  /** Ends the jobs of a user that hold too many of these connections, or hold some for too long. */
  async #endHolders(user: UnixUser, seen: readonly LocalConnection[]): Promise<void> {
    const { layout, node } = this.#parts;
    const holders = await this.#findHolders(user, seen);
    const jobs = new Map(
      [...(await jobProcesses(layout, node))].filter(([, pids]) =>
        pids.some((pid) => isOf(user, pid)),
      ),
    );
    // Some of the connections have ended meanwhile.
    const now = new Set((await this.#connections()).map(({ inode }) => inode));
    const open = seen.filter(({ inode }) => now.has(inode));
    const heldBy = (some: readonly Holder[]) => {
      const inodes = new Set(some.flatMap((holder) => holder.inodes ?? []));
      return open.filter(({ inode }) => inodes.has(inode));
    };

    for (const [job, pids] of jobs) {
      const ofJob = holders.filter((holder) => jobOf(holder, jobs) === job);
      const held = heldBy(ofJob);
      if (this.#isTooMuch(held))
        await this.#end(job, user, [...pids, ...ofJob.map(({ pid }) => pid)], held);
    }
    const outside = holders.filter(
      (holder) => holder.inodes !== undefined && jobOf(holder, jobs) === undefined,
    );
    const heldOutside = heldBy(outside);
    const all = heldBy(holders);
    const hidden = open.filter((connection) => !all.includes(connection));
    if (this.#isTooMuch(heldOutside)) killAll(outside.map(({ pid }) => pid));
    else if (!this.#isTooMuch(hidden)) return;
    // A process can leave its job, keep its files from being seen, or send a socket to itself. Then
    // the job is one of those with a process that hides, or any other of that user's.
    const hiding = holders
      .filter(({ inodes }) => inodes === undefined)
      .map((holder) => jobOf(holder, jobs));
    const suspects = [...jobs].filter(([job]) => hiding.includes(job));
    for (const [job, pids] of suspects.length > 0 ? suspects : jobs)
      await this.#end(job, user, pids, [...heldOutside, ...hidden]);
  }

  /** Ends a job, after a line in its log that says why. */
  async #end(
    job: number,
    user: UnixUser,
    pids: readonly number[],
    held: readonly LocalConnection[],
  ): Promise<void> {
    const daemons = this.#parts.daemons();
    const names = [...new Set(held.flatMap(({ port }) => daemons.get(port) ?? []))].sort();
    const line = heldConnectionsLine(job, held.length, names);
    this.#parts.warn(line);
    // Stopped, it opens no more of them, and does not end before its log names the reason.
    signalAll(pids, 'SIGSTOP');
    try {
      // The first process of the user's is the job's script, which writes to the log.
      const script = Math.min(...pids.filter((pid) => isOf(user, pid)));
      await this.#help(['tell', user, String(script)], `${line}\n`);
    } catch (error) {
      this.#parts.warn(`the log of Slurm job ${job} could not be written: ${String(error)}`);
    } finally {
      killAll(pids);
    }
  }

  /** Finds the user's processes that hold connections, or hide what they hold. */
  async #findHolders(user: UnixUser, connections: readonly LocalConnection[]): Promise<Holder[]> {
    const inodes = connections.map(({ inode }) => `${inode}\n`).join('');
    const { slurmConf } = this.#parts.layout;
    return parseHolders(await this.#help(['find', user, slurmConf], inodes));
  }

  async #help([what, user, more]: [string, UnixUser, string], input: string): Promise<string> {
    const { uid, gid } = user;
    const ids = [uid, gid, this.#parts.unixUsers.jobsGroup].map(String);
    const { stdout } = await execa('/usr/bin/perl', [helper, what, ...ids, more], {
      input,
      env: { PATH: '/usr/bin:/bin', LANG: 'C' },
      extendEnv: false,
      timeout: helperMs,
      cwd: '/',
    });
    return stdout;
  }
}

/** Reads what `job-connections.pl find` prints. */
export function parseHolders(printed: string): Holder[] {
  return [...printed.matchAll(/^(\d+) (\d+|-) ([\d,]+|-)$/gm)].map(([, pid, job, inodes]) => ({
    pid: Number(pid),
    claimedJob: job === '-' ? undefined : Number(job),
    inodes: inodes === '-' ? undefined : inodes?.split(','),
  }));
}

/** Returns the job of a process; undefined when no job of its user accounts for it. */
function jobOf(
  { pid, claimedJob }: Holder,
  jobs: ReadonlyMap<number, readonly number[]>,
): number | undefined {
  const [job] = [...jobs].find(([, pids]) => pids.includes(pid)) ?? [];
  return job ?? (claimedJob !== undefined && jobs.has(claimedJob) ? claimedJob : undefined);
}

/** Tells whether the process, if it still runs, is that user's. */
function isOf(user: UnixUser, pid: number): boolean {
  try {
    return statSync(`/proc/${pid}`).uid === user.uid;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return false;
    throw error;
  }
}
