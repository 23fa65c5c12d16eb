import { once } from 'node:events';
import { join } from 'node:path';
import { watchConnections } from './connection-watch.js';
import { slurmCanWatchMemory, watchMemory } from './memory-watch.js';
import type { Machine } from './machine.js';
import { PortGuard } from './port-guard.js';
import { Supervisor } from './supervisor.js';

/** Makes a controller that aborts when the process is told to end. */
export function abortAtSignals(): AbortController {
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.on('SIGINT', stop).on('SIGTERM', stop).on('SIGHUP', stop);
  return stopping;
}

export interface DaemonsRun {
  /** This machine's name in Slurm. */
  node: string;
  /** Returns the names of this machine's daemons by the ports that are closed to jobs. */
  daemons: () => ReadonlyMap<number, string>;
  /**
   * Starts the daemons in order.
   * @param watching takes the watches over them; each ends at the signal, and its failure ends all
   */
  start: (supervisor: Supervisor, watching: Promise<void>[]) => Promise<void>;
  /** Makes the line that tells of the end's begin. */
  parting: () => Promise<string>;
  /** Ends jobs and daemons, however far the start came. */
  stop: (supervisor: Supervisor) => Promise<void>;
}

/**
 * Runs the daemons of a machine until it is told to stop.
 * @throws Error when a part does not come up, or fails (all is stopped first)
 */
export async function runDaemons(
  { config, layout, unixUsers }: Pick<Machine, 'config' | 'layout' | 'unixUsers'>,
  { node, daemons, start, parting, stop }: DaemonsRun,
  stopping: AbortController,
  say: (line: string) => void,
): Promise<void> {
  const { signal } = stopping;
  const supervisor = await Supervisor.start(layout);
  const watching: Promise<void>[] = [];
  let guard: PortGuard | undefined;
  try {
    guard = await PortGuard.open({ unixUsers, daemons, say });
    if (guard) watching.push(guard.keep(signal));
    await start(supervisor, watching);
    const watched = { layout, node, unixUsers, daemons, warn: say };
    watching.push(watchConnections(watched, signal));
    if (!config.node.useCgroups && !slurmCanWatchMemory())
      watching.push(watchMemory(layout, node, say, signal));
    const ended = await Promise.race([
      supervisor.exited.then(() => true),
      aborted(signal).then(() => false),
      Promise.all(watching).then(() => false),
    ]);
    if (ended) throw new Error(`the supervisor ended; see ${join(layout.logs, 'supervisord.log')}`);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    stopping.abort();
    try {
      say(await parting());
      await Promise.all(watching);
    } finally {
      try {
        await stop(supervisor);
      } finally {
        // Last: jobs run until `stop` has ended them, and it needs Slurm for that.
        await guard?.remove();
      }
    }
  }
  say('Stopped.');
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
