import type { Logger } from 'pino';
import type { Database } from '../db/database.js';
import { askOn, candidates, gresOf, readGres } from '../gpus/ask.js';
import type { GpuFleet } from '../gpus/choose.js';
import type { SlurmClient } from '../slurm/client.js';
import { SlurmError } from '../slurm/command.js';
import type { HandOver } from './hand-over.js';
import type { Job } from './job.js';
import { isRemote } from './places.js';
import * as store from './store.js';

export interface MoverParts {
  db: Database;
  slurm: SlurmClient;
  fleet: GpuFleet;
  handOver: HandOver;
  /** Whether no job is to start on that GPU now. */
  isHeld: (gpuIndex: number) => boolean;
  log: Logger;
}

/**
 * A job that may run on some GPUs only waits for one of them. When another of them is free and its own is not, it is moved
 * there: Slurm alone would let it wait. When it starts, and before whom, stays Slurm's affair.
 */
export class Mover {
  constructor(private readonly parts: MoverParts) {}

  async move(): Promise<void> {
    const { db } = this.parts;
    const jobs = store.liveJobs(db).filter((job) => job.gres !== null && !isRemote(job.request));
    const choosy = jobs.filter((job) => isWaiting(job) && this.#hasChoice(job));
    if (choosy.length === 0) return;
    const free = this.#freeShards(jobs.filter((job) => job.state !== 'SUBMITTING'));
    if (free === undefined) return;
    for (const job of choosy.sort((a, b) => a.priority - b.priority || a.job_id - b.job_id)) {
      const gres = this.#better(job, free);
      if (gres !== undefined) await this.#resubmit(job, gres);
      this.#take(free, gres ?? job.gres ?? '');
    }
  }

  /**
   * Hands the job over anew, in its old place of the queue. Slurm has no way to change the GPU itself: an update of
   * `TresPerNode` adds the new one to the old (22.05, tried). Cut off at any point, the job is left as handed over or as
   * still to be handed over, and its old self held until it is cancelled.
   */
  async #resubmit(job: Job, gres: string): Promise<void> {
    const { db, slurm, handOver, log } = this.parts;
    const { job_id: id, slurm_job_id: old } = job;
    if (old === null) return;
    try {
      const place = await slurm.priorityOf(old);
      await slurm.hold(old);
      store.updateJob(db, id, {
        state: 'SUBMITTING',
        comment: store.newComment(),
        gres,
        slurm_job_id: null,
        moved_from: old,
        slurm_priority: place,
      });
    } catch (error) {
      if (!(error instanceof SlurmError)) throw error;
      // It has started just now, or was cancelled: the next look tells.
      log.info({ err: error, job_id: id, gres }, 'the job could not be moved');
      return;
    }
    await handOver.attempt(id);
  }

  #hasChoice(job: Job): boolean {
    const { on } = readGres(job.gres ?? '');
    const { gpus, shardsPerGpu } = this.parts.fleet;
    return on.length > 0 && candidates(gpus, job.request, shardsPerGpu).length > on.length;
  }

  /** What no job has, by GPU. Undefined while it is not known where a running job is. */
  #freeShards(jobs: readonly Job[]): Map<number, number> | undefined {
    const { gpus, shardsPerGpu } = this.parts.fleet;
    const free = new Map(
      gpus.map(({ index }) => [index, this.parts.isHeld(index) ? 0 : shardsPerGpu]),
    );
    for (const job of jobs) {
      if (job.state === 'PENDING') continue;
      const { on, shards } = readGres(job.gres ?? '');
      const places = job.gpu_indices ?? (on.length > 0 ? on : undefined);
      if (places === undefined) return undefined;
      for (const index of places) free.set(index, (free.get(index) ?? 0) - shards);
    }
    return free;
  }

  /** What to ask for instead; undefined when its own GPUs are free, or no others are. */
  #better(job: Job, free: ReadonlyMap<number, number>): string | undefined {
    const { gpus, shardsPerGpu, gpuType } = this.parts.fleet;
    const { on, shards } = readGres(job.gres ?? '');
    const hasRoom = (index: number, wanted: number) => (free.get(index) ?? 0) >= wanted;
    if (on.every((index) => hasRoom(index, shards))) return undefined;
    const open = candidates(gpus, job.request, shardsPerGpu).filter((gpu) => {
      const there = askOn(gpu, job.request, shardsPerGpu);
      return there !== undefined && hasRoom(gpu.index, there.shards);
    });
    const first = open[0];
    const wanted = first && askOn(first, job.request, shardsPerGpu);
    if (wanted === undefined || open.length < on.length) return undefined;
    const indices = open.slice(0, on.length).map((gpu) => gpu.index);
    return gresOf(wanted, indices, gpuType);
  }

  #take(free: Map<number, number>, gres: string): void {
    const { on, shards } = readGres(gres);
    for (const index of on) free.set(index, (free.get(index) ?? 0) - shards);
  }
}

/** Not one that somebody holds: handed over anew, it would start. */
function isWaiting({ state, reason }: Job): boolean {
  return state === 'PENDING' && reason?.startsWith('JobHeld') !== true;
}
