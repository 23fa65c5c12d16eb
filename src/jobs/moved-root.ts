import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SlurmClient } from '../cluster/slurm/client.js';
import { SlurmError } from '../cluster/slurm/command.js';
import type { Layout } from '../config/layout.js';
import type { Database } from '../db/database.js';
import { errnoOf } from '../errors.js';
import type { Job } from './job.js';
import type { LiveJobs } from './live-jobs.js';
import { ownNumber } from './slurm-records.js';
import * as store from './store.js';

interface Parts {
  db: Database;
  liveJobs: LiveJobs;
  slurm: Pick<SlurmClient, 'cancel' | 'commentOf'>;
  now: () => number;
}

/**
 * Ends the waiting jobs of a `JR_ROOT` that stands elsewhere now, such as a restored copy. Their
 * scripts, and Slurm's records of them, name the former folders, which may still be in use. Call
 * this before any job can start.
 * @throws SlurmError when Slurm does not answer
 */
export async function endJobsOfMovedRoot(
  { db, liveJobs, slurm, now }: Parts,
  { root, databaseFolder }: Pick<Layout, 'root' | 'databaseFolder'>,
): Promise<void> {
  const path = join(databaseFolder, 'root');
  const former = await readIfThere(path);
  if (former === root) return;
  if (former !== undefined)
    for (const job of liveJobs.all()) {
      if (job.state !== 'PENDING' && job.state !== 'SUBMITTING') continue;
      await cancel(slurm, job);
      store.updateJob(db, job.job_id, {
        state: 'NODE_FAIL',
        terminal: true,
        failure: 'node',
        message: `waited when JR_ROOT moved from ${former} to ${root}; its script names the old folder: rerun it`,
        ended_at: now(),
      });
    }
  await writeFile(`${path}.new`, root, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function cancel(slurm: Parts['slurm'], job: Job): Promise<void> {
  if (job.slurm_job_id === null) return;
  try {
    await slurm.cancel(await ownNumber(slurm, job, job.slurm_job_id));
  } catch (error) {
    // Refused: Slurm does not have the job any more.
    if (!(error instanceof SlurmError) || error.kind !== 'refused') throw error;
  }
}
