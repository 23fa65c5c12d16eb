import { readFileSync } from 'node:fs';
import { errnoOf } from '../../errors.js';
import { sleep } from '../../every.js';
import { slurmdPidFile, type Layout } from '../../config/layout.js';
import { scontrol } from '../daemons/job-processes.js';

const lookMs = 1000;

interface FarControllerParts {
  layout: Layout;
  /** This worker's. */
  name: string;
  restartSlurmd: () => Promise<void>;
  say: (line: string) => void;
}

/**
 * A slurmctld that was started again knows nothing of a node's shards until slurmd tells it anew (see stack/controller-watch.ts); here
 * it is another machine's, which says when it began. One that was killed before it had written down that the worker is there does not
 * know the node at all, and takes in only a slurmd that starts (tried with 22.05).
 */
export async function watchFarController(
  { layout, name, restartSlurmd, say }: FarControllerParts,
  signal: AbortSignal,
): Promise<void> {
  let known: string | undefined;
  while (!signal.aborted) {
    await sleep(lookMs, signal);
    if (signal.aborted) return;
    const config = (await scontrol(layout, 'show', 'config')) ?? '';
    const began = /^BOOT_TIME\s*=\s*(\S+)/m.exec(config)?.[1];
    if (began === undefined || began === known) continue;
    const nodes = await scontrol(layout, 'show', 'node', '--oneliner');
    if (nodes === undefined) continue;
    if (!new RegExp(`^NodeName=${name} `, 'm').test(nodes)) {
      await restartSlurmd();
      say('slurmctld knew nothing of this worker any more; slurmd was started again');
    } else if (known !== undefined && tellAnew(layout, name))
      say('slurmctld was restarted; slurmd was asked to tell it of this worker');
    known = began;
  }
}

/** @returns false when no slurmd runs: it is being started, and tells by that. */
function tellAnew(layout: Layout, name: string): boolean {
  try {
    process.kill(Number(readFileSync(slurmdPidFile(layout, name), 'utf8').trim()), 'SIGHUP');
    return true;
  } catch (error) {
    if (!['ESRCH', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error;
    return false;
  }
}
