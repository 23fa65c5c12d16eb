import { every } from '../../every.js';
import pLimit from 'p-limit';
import type { Logger } from 'pino';
import type { Database } from '../../db/database.js';
import { AppError } from '../../errors.js';
import type { OperatorClient } from '../slurm/client.js';
import { SlurmError } from '../slurm/command.js';
import { NvidiaSmi } from './nvidia-smi.js';
import { eligibleGpus } from './request.js';
import type { GpuFleet, GpuJob } from './choose.js';
import { Placeholders } from './placeholders.js';
import { idleWarning, isIdle } from './idle.js';
import { Monitor } from './monitor.js';
import { ownerOf } from './owners.js';
import { StateFile } from './state-file.js';
import type { GpusView } from './replies.js';
import * as store from './store.js';
import type { Thresholds } from './foreign-processes.js';
import { viewGpus } from './view.js';

export interface GpuServiceParts {
  db: Database;
  slurm: OperatorClient;
  fleet: GpuFleet;
  /** Command nvidia-smi, or its stand-in. */
  smiCommand: string;
  thresholds: Thresholds;
  monitorSeconds: number;
  /** Minutes after which an idle job gets a warning; 0 for never. */
  idleWarnMinutes: number;
  stateFile: string;
  stateSeconds: number;
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
  readonly #monitor: Monitor;
  readonly #placeholders: Placeholders;
  readonly #file: StateFile;
  /** Runs one change at a time. */
  readonly #inTurn = pLimit(1);
  readonly #closing = new AbortController();
  #loops: Promise<void>[] = [];
  #slurmAnswers = true;

  constructor(parts: GpuServiceParts) {
    const { db, slurm, fleet, smiCommand, thresholds, now, log } = parts;
    this.#parts = parts;
    this.#placeholders = new Placeholders(slurm, fleet);
    this.#file = new StateFile(parts.stateFile, fleet.gpus.length, log);
    this.#monitor = new Monitor({
      db,
      gpus: fleet.gpus,
      smi: new NvidiaSmi(smiCommand, fleet.gpus),
      thresholds,
      gpusWithJobs: () => new Set(this.#running().flatMap((job) => job.gpu_indices ?? [])),
      ownerOf,
      now,
      log,
    });
  }

  /**
   * Resolves once the GPUs paused before are closed again, or Slurm did not answer; polling then
   * continues.
   */
  async start(): Promise<void> {
    if (this.#parts.fleet.gpus.length === 0) return;
    try {
      // Polls first: only the poll finds the GPUs that foreign processes use.
      await this.#monitor.poll();
      await this.#inTurn(async () => {
        await this.#readFile();
        await this.#file.write(this.#pausedIndices());
        await this.#reconcile();
      });
    } catch (error) {
      this.#parts.log.error({ err: error }, 'could not check the GPUs');
    }
    this.#loops = [
      this.#every(this.#parts.monitorSeconds, () => this.#poll()),
      this.#every(this.#parts.stateSeconds, () => this.#inTurn(() => this.#readFile())),
    ];
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#loops);
  }

  /** Tells whether no job may start on that GPU now. */
  isClosed = (index: number): boolean =>
    this.#monitor.closure(index) !== undefined || this.#pausedIndices().includes(index);

  /**
   * Lets running jobs on the GPU end, and no other start.
   * @throws AppError not_found; conflict if it is paused already
   */
  async pause(index: number, by: string, reason: string): Promise<void> {
    this.#refuseUnknown(index);
    await this.#inTurn(async () => {
      await this.#readFile();
      const paused = store.listPauses(this.#parts.db);
      const present = paused.find((pause) => pause.gpu_index === index);
      if (present)
        throw new AppError(
          'conflict',
          `GPU ${index} is paused already, by ${present.paused_by} (${present.reason})`,
        );
      // Writes the file first: after a crash here, the pause is found in it.
      await this.#file.write([...paused.map((pause) => pause.gpu_index), index]);
      this.#insertPause(index, by, reason);
      await this.#reconcile();
    });
  }

  /** Lets jobs start on the GPU again. @throws AppError not_found; conflict if it is not paused */
  async resume(index: number): Promise<void> {
    this.#refuseUnknown(index);
    await this.#inTurn(async () => {
      await this.#readFile();
      if (!store.deletePause(this.#parts.db, index))
        throw new AppError('conflict', `GPU ${index} is not paused`);
      await this.#file.write(this.#pausedIndices());
      await this.#reconcile();
    });
  }

  /**
   * Shows all GPUs.
   * @param scope the user whose jobs are shown with names; undefined for all users
   */
  view(scope?: string): GpusView {
    const { db, fleet } = this.#parts;
    return {
      ...viewGpus(fleet, this.#parts.liveJobs(), store.listPauses(db), this.#monitor, scope),
      state_file_problem: this.#file.problem,
    };
  }

  /**
   * Returns the GPU's figures since then, oldest first.
   * @param since milliseconds since 1970
   * @throws AppError not_found
   */
  history(index: number, since: number): store.UsageRow[] {
    this.#refuseUnknown(index);
    return store.usageSince(this.#parts.db, index, since);
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
    const pause = store.listPauses(this.#parts.db).find((one) => one.gpu_index === index);
    if (pause) return `GPU ${index} is paused by ${pause.paused_by} (${pause.reason})`;
    return `GPU ${index}: ${this.#monitor.closure(index)?.reason ?? ''}`;
  }

  async #poll(): Promise<void> {
    await this.#monitor.poll();
    this.#warnOfIdle();
    await this.#inTurn(() => this.#reconcile());
  }

  /**
   * Tells Slurm which GPUs are closed. Decisions are recorded, so they are carried out later if
   * Slurm does not answer.
   */
  async #reconcile(): Promise<void> {
    const { fleet, log } = this.#parts;
    const closed = fleet.gpus.map((gpu) => gpu.index).filter(this.isClosed);
    try {
      await this.#placeholders.reconcile(new Set(closed));
      this.#slurmAnswers = true;
    } catch (error) {
      if (!(error instanceof SlurmError)) throw error;
      if (this.#slurmAnswers)
        log.warn({ err: error, closed }, 'GPUs could not be closed or opened; trying again');
      this.#slurmAnswers = false;
    }
  }

  async #readFile(): Promise<void> {
    const { db, log } = this.#parts;
    const change = await this.#file.read(this.#pausedIndices());
    for (const index of change.pause)
      this.#insertPause(index, 'the state file', 'listed in paused_gpus');
    for (const index of change.resume) store.deletePause(db, index);
    if (change.pause.length + change.resume.length === 0) return;
    log.info(change, 'the state file was edited');
    await this.#reconcile();
  }

  #insertPause(index: number, by: string, reason: string): void {
    const { db, now } = this.#parts;
    store.insertPause(db, { gpu_index: index, reason, paused_by: by, paused_at: now() });
  }

  #warnOfIdle(): void {
    const { db, idleWarnMinutes: minutes, monitorSeconds, now, setWarning } = this.#parts;
    if (minutes === 0) return;
    const times = { now: now(), idleMs: minutes * 60_000, pollMs: monitorSeconds * 1000 };
    for (const job of this.#running()) {
      const gpus = job.gpu_indices ?? [];
      const warning = idleWarning(minutes, gpus.length);
      const idle = isIdle(db, { startedAt: job.started_at, gpus }, times);
      if (idle && job.warning === null) setWarning(job.job_id, warning);
      if (!idle && job.warning === warning) setWarning(job.job_id, null);
    }
  }

  #running(): GpuJob[] {
    return this.#parts
      .liveJobs()
      .filter((job) => job.state === 'RUNNING' && job.gpu_shards !== null);
  }

  #pausedIndices(): number[] {
    const { db, fleet } = this.#parts;
    const known = new Set(fleet.gpus.map((gpu) => gpu.index));
    return store
      .listPauses(db)
      .map((pause) => pause.gpu_index)
      .filter((index) => known.has(index));
  }

  #refuseUnknown(index: number): void {
    const { gpus } = this.#parts.fleet;
    if (gpus.some((gpu) => gpu.index === index)) return;
    const there = gpus.length === 0 ? 'none' : `0 to ${gpus.length - 1}`;
    throw new AppError('not_found', `unknown GPU ${index}; available: ${there}`);
  }

  #every(seconds: number, act: () => Promise<void>): Promise<void> {
    return every(seconds * 1000, this.#closing.signal, act, (error) => {
      this.#parts.log.error({ err: error }, 'could not check the GPUs');
    });
  }
}
