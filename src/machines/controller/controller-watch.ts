import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../errors.js';
import { sleep } from '../../every.js';
import { slurmdPidFile, type Layout } from '../../config/layout.js';
import type { WorkerGpus } from './worker-gpus.js';
import { scontrol } from '../daemons/job-processes.js';

const lookMs = 200;

/**
 * A slurmctld that was started again knows nothing of a node's GPUs until slurmd tells it anew, by itself after half a minute.
 * Until then 22.05 refuses every job that asks for one ("Requested node configuration is not available"). SIGHUP makes slurmd
 * tell it at once (slurmd(8)).
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
      warn(`slurmctld was restarted; slurmd was asked to tell it of ${asked.join(', ')}`);
    await workers?.open(signal);
  }
}

/** @returns false when no slurmd of that node runs. */
function tellAnew(layout: Layout, node: string): boolean {
  const slurmd = pidOf(slurmdPidFile(layout, node));
  if (slurmd === undefined) return false;
  try {
    process.kill(slurmd, 'SIGHUP');
    return true;
  } catch (error) {
    // It is being restarted itself, and will tell by that.
    if (errnoOf(error) !== 'ESRCH') throw error;
    return false;
  }
}

/** Undefined while a daemon that is starting has not written it yet. */
function pidOf(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8').trim());
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
