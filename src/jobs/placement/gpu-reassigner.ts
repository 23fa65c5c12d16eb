import type { Logger } from 'pino';
import type { Database } from '../../db/database.js';
import {
  choiceOf,
  eligibleGpus,
  shardRequestFor,
  type GpuChoice,
  type GpuShards,
} from '../../cluster/gpus/request.js';
import type { GpuFleet } from '../../cluster/gpus/choose.js';
import type { KeyLock } from '../../key-lock.js';
import { forEachInSlices } from '../../slices.js';
import type { OperatorClient } from '../../cluster/slurm/client.js';
import { SlurmError } from '../../cluster/slurm/command.js';
import type { Submitter } from '../submission.js';
import type { Job, JobId } from '../job.js';
import { ownNumber } from '../slurm-records.js';
import { mayUseLocalGpus, isRemote } from './target.js';
import type { LiveJobs } from '../live-jobs.js';
import * as store from '../store.js';

export interface GpuReassignerParts {
  db: Database;
  liveJobs: LiveJobs;
  slurm: OperatorClient;
  fleet: GpuFleet;
  submitter: Submitter;
  /**
   * Every change of a job in Slurm holds this lock. A move replaces the job's record there, so a
   * cancel or a change of the former record would be lost.
   */
  turns: KeyLock<JobId>;
  /** Whether no job may start on that GPU now. */
  isClosed: (gpuIndex: number) => boolean;
  log: Logger;
}

/**
 * Moves waiting jobs to other GPUs. A job that may run on some GPUs only waits for one of them.
 * Slurm alone would let it wait even when that one is busy and another is free. The start, and the
 * order of jobs, stay Slurm's decision.
 */
export class GpuReassigner {
  readonly #parts: GpuReassignerParts;

  constructor(parts: GpuReassignerParts) {
    this.#parts = parts;
  }

  async reassign(): Promise<void> {
    const { liveJobs, turns } = this.#parts;
    const { onTheWay, started, waiting } = await sortOut(liveJobs.all());
    for (const { job_id: id } of onTheWay) await turns.hold(id, () => this.#finish(id));
    const free = this.#freeShards(started);
    if (free === undefined) return;
    waiting.sort((a, b) => a.priority - b.priority || a.job_id - b.job_id);
    await forEachInSlices(waiting, async (job) => {
      if (!hasRoom(free) || !this.#hasChoice(job)) return;
      const better = this.#better(job, free);
      if (better) await turns.hold(job.job_id, () => this.#resubmit(job, better));
      this.#take(free, better?.gpu_shards ?? job.gpu_shards);
    });
  }

  /**
   * Submits the job anew with its old priority. Slurm cannot change the GPU itself: an update of
   * `TresPerNode` adds the new one to the old (22.05, tried). Each step is stored before it is
   * taken, so that the next poll continues after a crash at any point.
   */
  async #resubmit(seen: Job, choice: GpuChoice): Promise<void> {
    const { db, slurm, submitter, log } = this.#parts;
    const { job_id: id, slurm_job_id: former } = seen;
    const { state, slurm_job_id: current } = store.findJob(db, id) ?? {};
    if (former === null || current !== former || state !== 'PENDING') return;
    try {
      const priority = await slurm.priorityOf(await ownNumber(slurm, seen, former));
      // Somebody has held the job since the poll.
      if (priority === 0) return;
      store.updateJob(db, id, { moved_from: former, slurm_priority: priority });
      // Keep the former record from starting meanwhile.
      await slurm.hold(former);
      // Slurm also holds a job that has just started, which then ends where it is (22.05, tried).
      if (!(await slurm.pending()).some(({ slurmJobId }) => slurmJobId === former)) {
        store.updateJob(db, id, { moved_from: null, slurm_priority: null });
        // Otherwise the job would stay held after a requeue.
        await slurm.release(former);
        return;
      }
    } catch (error) {
      if (!(error instanceof SlurmError)) throw error;
      // The job has just ended, or was cancelled; the next poll shows it.
      log.info({ err: error, job_id: id, gres: choice.gres }, 'the job could not be moved');
      return;
    }
    const comment = store.newComment();
    store.updateJob(db, id, {
      ...choice,
      state: 'SUBMITTING',
      comment,
      slurm_job_id: null,
    });
    await submitter.submit(id);
    await this.#finish(id);
  }

  /**
   * Gives a job that has reached Slurm its old priority there. Releases one that was held for a
   * move that did not happen.
   */
  async #finish(id: JobId): Promise<void> {
    const { db, slurm, log } = this.#parts;
    const job = store.findJob(db, id);
    if (job === undefined || job.slurm_job_id === null || job.moved_from === null) return;
    const { slurm_job_id: slurmJobId, slurm_priority: priority } = job;
    try {
      if (job.state === 'PENDING') {
        await ownNumber(slurm, job, slurmJobId);
        if (job.moved_from === slurmJobId) await slurm.release(slurmJobId);
        // A held job has the priority 0: any other would release it.
        if (priority !== null && (await slurm.priorityOf(slurmJobId)) !== 0)
          await slurm.setPriority(slurmJobId, priority);
      }
      store.updateJob(db, id, { moved_from: null, slurm_priority: null });
    } catch (error) {
      if (!(error instanceof SlurmError)) throw error;
      // Most often the job has started meanwhile; the next poll shows it.
      log.info({ err: error, job_id: id }, 'the job could not be given its old priority');
    }
  }

  #hasChoice(job: JobWithGpus): boolean {
    const { on } = job.gpu_shards;
    const { gpus, shardsPerGpu } = this.#parts.fleet;
    return on.length > 0 && eligibleGpus(gpus, job.request, shardsPerGpu).length > on.length;
  }

  /** Counts each GPU's free shards; undefined while the GPUs of a started job are unknown. */
  #freeShards(jobs: readonly JobWithGpus[]): Map<number, number> | undefined {
    const { gpus, shardsPerGpu } = this.#parts.fleet;
    const free = new Map(
      gpus.map(({ index }) => [index, this.#parts.isClosed(index) ? 0 : shardsPerGpu]),
    );
    for (const job of jobs) {
      const { on, shards } = job.gpu_shards;
      const indices = job.gpu_indices ?? (on.length > 0 ? on : undefined);
      if (indices === undefined) return undefined;
      for (const index of indices) free.set(index, (free.get(index) ?? 0) - shards);
    }
    return free;
  }

  /** Chooses other GPUs; undefined when the job's own are free, or no others are. */
  #better(job: JobWithGpus, free: ReadonlyMap<number, number>): GpuChoice | undefined {
    const { gpus, shardsPerGpu, gpuType } = this.#parts.fleet;
    const { on, shards } = job.gpu_shards;
    const fits = (index: number, wanted: number) => (free.get(index) ?? 0) >= wanted;
    if (on.every((index) => fits(index, shards))) return undefined;
    const open = eligibleGpus(gpus, job.request, shardsPerGpu).filter((gpu) => {
      const there = shardRequestFor(gpu, job.request, shardsPerGpu);
      return there !== undefined && fits(gpu.index, there.shards);
    });
    const first = open[0];
    const wanted = first && shardRequestFor(first, job.request, shardsPerGpu);
    if (wanted === undefined || open.length < on.length) return undefined;
    const indices = open.slice(0, on.length).map((gpu) => gpu.index);
    return choiceOf(wanted, indices, gpuType);
  }

  #take(free: Map<number, number>, { on, shards }: GpuShards): void {
    for (const index of on) free.set(index, (free.get(index) ?? 0) - shards);
  }
}

type JobWithGpus = Job & { gpu_shards: GpuShards };

function asksForGpus(job: Job): job is JobWithGpus {
  return job.gpu_shards !== null;
}

/** Sorts the jobs with GPUs of our own: those in a move, those that have GPUs, those that wait. */
async function sortOut(jobs: readonly Job[]) {
  const onTheWay: Job[] = [];
  const started: JobWithGpus[] = [];
  const waiting: JobWithGpus[] = [];
  await forEachInSlices(jobs, (job) => {
    if (!asksForGpus(job) || isRemote(job.request)) return;
    if (job.moved_from !== null && job.state !== 'SUBMITTING') onTheWay.push(job);
    if (!mayUseLocalGpus(job)) return;
    if (job.state !== 'PENDING' && job.state !== 'SUBMITTING') started.push(job);
    else if (isWaiting(job)) waiting.push(job);
  });
  return { onTheWay, started, waiting };
}

function hasRoom(free: ReadonlyMap<number, number>): boolean {
  return [...free.values()].some((shards) => shards > 0);
}

/** Excludes a job in a move, and one that somebody holds: submitted anew, it would start. */
function isWaiting({ state, reason, moved_from: former }: Job): boolean {
  return state === 'PENDING' && reason?.startsWith('JobHeld') !== true && former === null;
}
