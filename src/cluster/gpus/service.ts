import type { Logger } from 'pino';
import type { Database } from '../../db/database.js';
import { AppError } from '../../errors.js';
import { Loops } from '../../every.js';
import { RepeatedError } from '../../repeated-error.js';
import type { GpuFleet, GpuJob } from './choose.js';
import { idleWarning, isIdle } from './idle.js';
import type { Monitor } from './monitor.js';
import type { GpuPause } from './pause-store.js';
import type { GpuPauses } from './pauses.js';
import type { GpusView } from './replies.js';
import { eligibleGpus } from './request.js';
import { usageSince, type UsageRow } from './usage-store.js';
import { viewGpus } from './view.js';

export interface GpuServiceParts {
  db: Database;
  fleet: GpuFleet;
  monitor: Monitor;
  pauses: GpuPauses;
  monitorSeconds: number;
  /** Minutes after which an idle job gets a warning; 0 for never. */
  idleWarnMinutes: number;
  /** Returns the jobs that have not ended. */
  liveJobs: () => readonly GpuJob[];
  setWarning: (id: number, warning: string | null) => void;
  now: () => number;
  log: Logger;
}

/**
 * The GPUs of this machine and their jobs. A GPU is closed to jobs while somebody has paused it or
 * foreign processes use it.
 */
export class GpuService {
  readonly #parts: GpuServiceParts;
  readonly #loops = new Loops();

  constructor(parts: GpuServiceParts) {
    this.#parts = parts;
  }

  /** Resolves after the first poll, or its failure; polling then continues. */
  async start(): Promise<void> {
    const { fleet, monitor, pauses, monitorSeconds, now, log } = this.#parts;
    // Polls first: only the poll finds the GPUs that foreign processes use.
    const trouble = new RepeatedError(log, 'could not check the GPUs', now);
    if (fleet.gpus.length > 0) await monitor.poll().catch(trouble.failed);
    await pauses.start();
    if (fleet.gpus.length > 0)
      this.#loops.start(monitorSeconds * 1000, () => this.#poll(), trouble);
  }

  async close(): Promise<void> {
    await this.#loops.close();
    await this.#parts.pauses.close();
  }

  /** Tells whether no job may start on that GPU now. */
  isClosed = (index: number): boolean =>
    this.#parts.monitor.closure(index) !== undefined || this.#pauseOf(index) !== undefined;

  /**
   * Shows all GPUs.
   * @param scope the user whose jobs are shown with names; undefined for all users
   */
  view(scope?: string): GpusView {
    const { fleet, liveJobs, pauses, monitor } = this.#parts;
    return {
      ...viewGpus(fleet, liveJobs(), pauses.here(), monitor, scope),
      state_file_problem: pauses.fileProblem,
    };
  }

  /**
   * Returns the GPU's figures since then, oldest first.
   * @param since milliseconds since 1970
   * @throws AppError not_found
   */
  history(index: number, since: number): UsageRow[] {
    this.#refuseUnknown(index);
    return usageSince(this.#parts.db, index, since);
  }

  /**
   * Returns why a waiting job cannot start although Slurm would let it: too few of its possible
   * GPUs are open.
   */
  whyClosed(job: GpuJob): string | null {
    if (job.state !== 'PENDING' || job.gpu_shards === null) return null;
    const { gpus, shardsPerGpu } = this.#parts.fleet;
    const possible = eligibleGpus(gpus, job.request, shardsPerGpu).map((gpu) => gpu.index);
    const closed = possible.filter((index) => this.isClosed(index));
    const needed = Math.max(1, Math.ceil(job.request.gpus));
    if (closed.length === 0 || possible.length - closed.length >= needed) return null;
    const whys = closed.slice(0, 4).map((index) => this.#whyGpuClosed(index));
    const more = closed.length > 4 ? `; and ${closed.length - 4} more` : '';
    const lead =
      closed.length === possible.length
        ? 'waits: every GPU it could use is closed'
        : `waits: needs ${needed} GPUs, and too many of those it could use are closed`;
    return `${lead}: ${whys.join('; ')}${more}`;
  }

  #whyGpuClosed(index: number): string {
    const pause = this.#pauseOf(index);
    if (pause) return `GPU ${index} is paused by ${pause.paused_by} (${pause.reason})`;
    return `GPU ${index}: ${this.#parts.monitor.closure(index)?.reason ?? ''}`;
  }

  async #poll(): Promise<void> {
    await this.#parts.monitor.poll();
    this.#warnOfIdle();
    await this.#parts.pauses.reconcileHere();
  }

  #warnOfIdle(): void {
    const { db, idleWarnMinutes: minutes, monitorSeconds, now, setWarning } = this.#parts;
    if (minutes === 0) return;
    const times = { now: now(), idleMs: minutes * 60_000, pollMs: monitorSeconds * 1000 };
    for (const job of gpuJobsRunning(this.#parts.liveJobs())) {
      const gpus = job.gpu_indices ?? [];
      const warning = idleWarning(minutes, gpus.length);
      const idle = isIdle(db, { startedAt: job.started_at, gpus }, times);
      if (idle && job.warning === null) setWarning(job.job_id, warning);
      if (!idle && job.warning === warning) setWarning(job.job_id, null);
    }
  }

  #pauseOf(index: number): GpuPause | undefined {
    return this.#parts.pauses.here().find((pause) => pause.gpu_index === index);
  }

  #refuseUnknown(index: number): void {
    const { gpus } = this.#parts.fleet;
    if (gpus.some((gpu) => gpu.index === index)) return;
    const there = gpus.length === 0 ? 'none' : `0 to ${gpus.length - 1}`;
    throw new AppError('not_found', `unknown GPU ${index}; available: ${there}`, {
      details: { fields: ['index'] },
    });
  }
}

/** Selects the jobs that run with GPUs. */
export function gpuJobsRunning(jobs: readonly GpuJob[]): GpuJob[] {
  return jobs.filter((job) => job.state === 'RUNNING' && job.gpu_shards !== null);
}
