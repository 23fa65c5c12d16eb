import { readFileSync } from 'node:fs';
import { slurmdPidFile, type Layout } from '../../config/layout.js';
import { errnoOf } from '../../errors.js';

/**
 * Returns whether that node's slurmd runs on this machine. A killed one leaves its pid file, whose
 * number may be another process's by now.
 */
export function slurmdRuns(layout: Pick<Layout, 'run'>, node: string): boolean {
  try {
    const pid = readFileSync(slurmdPidFile(layout, node), 'utf8').trim();
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'slurmd';
  } catch (error) {
    // A process that has just ended fails with ESRCH.
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return false;
    throw error;
  }
}
