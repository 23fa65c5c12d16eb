import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../errors.js';
import { sleep } from '../../every.js';
import { slurmdPidFile, type Layout } from '../../config/layout.js';
import type { WorkerGpus } from './worker-gpus.js';
import { scontrol } from '../daemons/job-processes.js';

const lookMs = 200;

/**
 * Makes each slurmd report its GPUs when slurmctld was restarted. A restarted slurmctld knows none
 * of a node's GPUs until slurmd reports them, after half a minute by default. Until then 22.05
 * refuses every job that asks for a GPU ("Requested node configuration is not available"). SIGHUP
 * makes slurmd report at once (slurmd(8)).
 */
export async function watchController(
  layout: Layout,
  nodes: () => readonly string[],
  workers: Pick<WorkerGpus, 'open' | 'look'> | undefined,
  warn: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let known = pidOf(join(layout.slurmState, 'slurmctld.pid'));
  await workers?.open(signal);
  while (!signal.aborted) {
    await sleep(lookMs, signal);
    const controller = pidOf(join(layout.slurmState, 'slurmctld.pid'));
    if (controller === undefined || controller === known) {
      await workers?.look();
      continue;
    }
    if (!/ is UP/.test((await scontrol(layout, 'ping')) ?? '')) continue;
    known = controller;
    const asked = nodes().filter((name) => tellAnew(layout, name));
    if (asked.length > 0)
      warn(`slurmctld was restarted; slurmd was asked to report ${asked.join(', ')}`);
    await workers?.open(signal);
  }
}

/** Makes that node's slurmd report its GPUs. @returns false when none runs. */
function tellAnew(layout: Layout, node: string): boolean {
  const slurmd = pidOf(slurmdPidFile(layout, node));
  if (slurmd === undefined) return false;
  try {
    process.kill(slurmd, 'SIGHUP');
    return true;
  } catch (error) {
    // slurmd is restarting, too, and reports at its start.
    if (errnoOf(error) !== 'ESRCH') throw error;
    return false;
  }
}

/** Reads a pid file. @returns undefined while a starting daemon has not written it yet. */
function pidOf(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8').trim());
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
