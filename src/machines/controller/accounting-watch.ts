import { readFileSync } from 'node:fs';
import { errnoOf } from '../../errors.js';
import { sleep } from '../../every.js';
import type { Layout } from '../../config/layout.js';
import { accepts } from '../daemons/readiness.js';
import type { Supervisor } from '../daemons/supervisor.js';

const lookMs = 1000;

/** Far more than a start takes. Tables are converted only before this watch begins. */
const hungAfterMs = 20_000;

/** The state LISTEN in /proc/net/tcp. */
const listenState = '0A';

/**
 * Restarts a slurmdbd that runs but never listens. slurmdbd 22.05 hangs for good when MariaDB goes
 * away while slurmdbd fills its cache at its start. Its log ends with "Problem getting cache of
 * data", and it waits for a thread that nothing ends. supervisord sees it run. A slurmctld without
 * saved associations then cannot start either.
 */
export async function watchAccounting(
  layout: Pick<Layout, 'mysqlSocket'>,
  port: number,
  supervisor: Pick<Supervisor, 'pidOf' | 'stopProgram' | 'startIfStopped'>,
  warn: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let deaf: { pid: number; since: number } | undefined;
  while (!signal.aborted) {
    await sleep(lookMs, signal);
    if (signal.aborted) return;
    // Without MariaDB, slurmdbd waits for it before it listens.
    if (isListening(port) || !(await accepts({ path: layout.mysqlSocket }))) {
      deaf = undefined;
      continue;
    }
    const pid = await supervisor.pidOf('slurmdbd');
    if (pid === undefined || pid !== deaf?.pid)
      deaf = pid === undefined ? undefined : { pid, since: Date.now() };
    else if (Date.now() - deaf.since > hungAfterMs) {
      warn(`slurmdbd does not listen on port ${port} though MariaDB is up; restarting it`);
      await supervisor.stopProgram('slurmdbd');
      await supervisor.startIfStopped('slurmdbd');
      deaf = undefined;
    }
  }
}

/**
 * Returns whether a process listens there, from the kernel's table: slurmdbd would log a trial
 * connection as an error.
 */
function isListening(port: number): boolean {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return ['/proc/net/tcp', '/proc/net/tcp6'].some((table) =>
    readTable(table)
      .split('\n')
      .some((line) => {
        const [, local, , state] = line.trim().split(/\s+/);
        return state === listenState && local?.endsWith(suffix) === true;
      }),
  );
}

/** Reads a table of /proc/net. @returns nothing for tcp6 where the kernel has no IPv6. */
function readTable(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return '';
  }
}
