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
   * Taken by whatever changes a job in Slurm: a move swaps the job's record there for another, and who cancelled or changed the
   * former meanwhile would have done so in vain.
   */
  turns: KeyLock<JobId>;
  /** Whether no job is to start on that GPU now. */
  isClosed: (gpuIndex: number) => boolean;
  log: Logger;
}

/**
 * A job that may run on some GPUs only waits for one of them. When another of them is free and its own is not, it is moved
 * there: Slurm alone would let it wait. When it starts, and before whom, stays Slurm's affair.
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
   * Hands the job over anew, in its old place of the queue. Slurm has no way to change the GPU itself: an update of
   * `TresPerNode` adds the new one to the old (22.05, tried). Each step is written down before it is taken: cut off at any
   * point, the next look goes on from there.
   */
  async #resubmit(seen: Job, choice: GpuChoice): Promise<void> {
    const { db, slurm, submitter, log } = this.#parts;
    const { job_id: id, slurm_job_id: former } = seen;
    const { state, slurm_job_id: current } = store.findJob(db, id) ?? {};
    if (former === null || current !== former || state !== 'PENDING') return;
    try {
      const place = await slurm.priorityOf(former);
      // Somebody holds it, since the look.
      if (place === 0) return;
      store.updateJob(db, id, { moved_from: former, slurm_priority: place });
      // So that it cannot start meanwhile.
      await slurm.hold(former);
      // One that has started just now is held, too, and ends where it is (22.05, tried).
      if (!(await slurm.pending()).some(({ slurmJobId }) => slurmJobId === former)) {
        store.updateJob(db, id, { moved_from: null, slurm_priority: null });
        // Else it would stay so when it is requeued.
        await slurm.release(former);
        return;
      }
    } catch (error) {
      if (!(error instanceof SlurmError)) throw error;
      // It has ended just now, or was cancelled: the next look tells.
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

  /** Gives a job that has reached Slurm its old place there; one that was held for a move that did not come about, is released. */
  async #finish(id: JobId): Promise<void> {
    const { db, slurm, log } = this.#parts;
    const job = store.findJob(db, id);
    if (job === undefined || job.slurm_job_id === null || job.moved_from === null) return;
    const { slurm_job_id: slurmJobId, slurm_priority: place } = job;
    try {
      if (job.state === 'PENDING') {
        if (job.moved_from === slurmJobId) await slurm.release(slurmJobId);
        // A held one has no place: any number would release it.
        if (place !== null && (await slurm.priorityOf(slurmJobId)) !== 0)
          await slurm.setPriority(slurmJobId, place);
      }
      store.updateJob(db, id, { moved_from: null, slurm_priority: null });
    } catch (error) {
      if (!(error instanceof SlurmError)) throw error;
      // Most often because it has started meanwhile, which the next look tells.
      log.info({ err: error, job_id: id }, 'the job could not be given its place');
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
      const places = job.gpu_indices ?? (on.length > 0 ? on : undefined);
      if (places === undefined) return undefined;
      for (const index of places) free.set(index, (free.get(index) ?? 0) - shards);
    }
    return free;
  }

  /** What to ask for instead; undefined when its own GPUs are free, or no others are. */
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

/** Sorts out the jobs with GPUs of our own: those in a move, those that have GPUs, those that wait. */
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

/** Excludes a job that somebody holds, as it would start when submitted anew, and one in a move. */
function isWaiting({ state, reason, moved_from: former }: Job): boolean {
  return state === 'PENDING' && reason?.startsWith('JobHeld') !== true && former === null;
}
