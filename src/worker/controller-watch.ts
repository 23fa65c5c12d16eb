import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { slurmdPidFile, type Layout } from '../layout.js';
import { scontrol } from '../stack/job-processes.js';

const lookMs = 1000;

/**
 * A slurmctld that was started again knows nothing of a node's shards until slurmd tells it anew (see stack/controller-watch.ts); here
 * it is another machine's, which says when it began.
 */
export async function watchFarController(
  layout: Layout,
  name: string,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let known: string | undefined;
  while (!signal.aborted) {
    await delay(lookMs, undefined, { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    if (signal.aborted) return;
    const config = (await scontrol(layout, 'show', 'config')) ?? '';
    const began = /^BOOT_TIME\s*=\s*(\S+)/m.exec(config)?.[1];
    if (began === undefined || began === known) continue;
    if (known !== undefined) {
      process.kill(Number(readFileSync(slurmdPidFile(layout, name), 'utf8').trim()), 'SIGHUP');
      say('slurmctld was restarted; slurmd was asked to tell it of this box');
    }
    known = began;
  }
}
