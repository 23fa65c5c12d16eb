import { readFileSync } from 'node:fs';
import { errnoOf } from '../../errors.js';
import { sleep } from '../../every.js';
import { slurmdPidFile, type Layout } from '../../config/layout.js';
import { scontrol } from '../daemons/job-processes.js';

const lookMs = 1000;

interface FarControllerParts {
  layout: Layout;
  /** The name of this worker. */
  name: string;
  restartSlurmd: () => Promise<void>;
  say: (line: string) => void;
}

/**
 * Makes slurmd report to slurmctld
 *
 * - when slurmctld was restarted, which knows no node's shards until then (see
 *   controller/controller-watch.ts). Its configuration shows when it began. A slurmctld that was
 *   killed before it saved the worker does not know the node at all; only a starting slurmd makes
 *   it known (tried with 22.05).
 * - when the link has come up again. slurmctld sends nothing to a node that a cut has made
 *   unresponsive, not even again the order to end a job (22.05, `re_kill_job`), until its next
 *   ping, after a third of SlurmdTimeout.
 */
export async function watchFarController(
  { layout, name, restartSlurmd, say }: FarControllerParts,
  signal: AbortSignal,
): Promise<void> {
  let known: string | undefined;
  let linkUp = readLinkUp(layout);
  while (!signal.aborted) {
    await sleep(lookMs, signal);
    if (signal.aborted) return;
    const lastUp = readLinkUp(layout);
    if (lastUp !== linkUp && tellAnew(layout, name))
      say('the link is up again; slurmd was asked to report this worker');
    linkUp = lastUp;
    const config = (await scontrol(layout, 'show', 'config')) ?? '';
    const began = /^BOOT_TIME\s*=\s*(\S+)/m.exec(config)?.[1];
    if (began === undefined || began === known) continue;
    const nodes = await scontrol(layout, 'show', 'node', '--oneliner');
    if (nodes === undefined) continue;
    if (!new RegExp(`^NodeName=${name} `, 'm').test(nodes)) {
      await restartSlurmd();
      say('slurmctld had forgotten this worker; slurmd was restarted');
    } else if (known !== undefined && tellAnew(layout, name))
      say('slurmctld was restarted; slurmd was asked to report this worker');
    known = began;
  }
}

/** Returns when the link last came up; undefined before it has. */
function readLinkUp({ workerLinkUp }: Layout): string | undefined {
  try {
    return readFileSync(workerLinkUp, 'utf8');
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return undefined;
  }
}

/**
 * Makes slurmd report its GPUs. @returns false when none runs: a starting slurmd reports by itself
 */
function tellAnew(layout: Layout, name: string): boolean {
  try {
    process.kill(Number(readFileSync(slurmdPidFile(layout, name), 'utf8').trim()), 'SIGHUP');
    return true;
  } catch (error) {
    if (!['ESRCH', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error;
    return false;
  }
}
