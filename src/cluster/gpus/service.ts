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
  /** nvidia-smi, or what stands in for it. */
  smiCommand: string;
  thresholds: Thresholds;
  monitorSeconds: number;
  /** 0: never warn. */
  idleWarnMinutes: number;
  stateFile: string;
  stateSeconds: number;
  /** Jobs that have not ended. */
  liveJobs: () => readonly GpuJob[];
  setWarning: (id: number, warning: string | null) => void;
  now: () => number;
  log: Logger;
}

/** The GPUs: what is on them, and which of them jobs are kept off, because somebody paused them or strangers use them. */
export class GpuService {
  readonly #parts: GpuServiceParts;
  readonly #monitor: Monitor;
  readonly #placeholders: Placeholders;
  readonly #file: StateFile;
  /** One change at a time. */
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

  /** Resolves once what was paused before is held again, or Slurm was found not to answer; then goes on by itself. */
  async start(): Promise<void> {
    if (this.#parts.fleet.gpus.length === 0) return;
    try {
      // Before anything else: until then nobody knows which GPUs strangers have.
      await this.#monitor.look();
      await this.#inTurn(async () => {
        await this.#readFile();
        await this.#file.write(this.#pausedIndices());
        await this.#reconcile();
      });
    } catch (error) {
      this.#parts.log.error({ err: error }, 'looking after the GPUs failed');
    }
    this.#loops = [
      this.#every(this.#parts.monitorSeconds, () => this.#look()),
      this.#every(this.#parts.stateSeconds, () => this.#inTurn(() => this.#readFile())),
    ];
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#loops);
  }

  /** Whether no job is to start on that GPU now. */
  isClosed = (index: number): boolean =>
    this.#monitor.closure(index) !== undefined || this.#pausedIndices().includes(index);

  /**
   * Lets what runs on the GPU end, and nothing start.
   * @throws AppError not_found, conflict when it is paused already.
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
      // The file first: cut off here, the pause is found in it.
      await this.#file.write([...paused.map((pause) => pause.gpu_index), index]);
      this.#insertPause(index, by, reason);
      await this.#reconcile();
    });
  }

  /** @throws AppError not_found, conflict when it is not paused. */
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

  /** @param scope whose jobs are told by name; undefined for everybody's */
  view(scope?: string): GpusView {
    const { db, fleet } = this.#parts;
    return {
      ...viewGpus(fleet, this.#parts.liveJobs(), store.listPauses(db), this.#monitor, scope),
      state_file_problem: this.#file.problem,
    };
  }

  /** @param since milliseconds since 1970. @throws AppError not_found. */
  history(index: number, since: number): store.UsageRow[] {
    this.#refuseUnknown(index);
    return store.usageSince(this.#parts.db, index, since);
  }

  /** Why a waiting job cannot start though Slurm would let it: all GPUs it could use, or too many of them, are held. */
  whyClosed(job: GpuJob): string | null {
    if (job.state !== 'PENDING' || job.gpu_shards === null) return null;
    const { gpus, shardsPerGpu } = this.#parts.fleet;
    const possible = eligibleGpus(gpus, job.request, shardsPerGpu).map((gpu) => gpu.index);
    const held = possible.filter((index) => this.isClosed(index));
    const needed = Math.max(1, Math.ceil(job.request.gpus));
    if (held.length === 0 || possible.length - held.length >= needed) return null;
    const whys = held.slice(0, 4).map((index) => this.#whyGpuClosed(index));
    const more = held.length > 4 ? `; and ${held.length - 4} more` : '';
    const lead =
      held.length === possible.length
        ? 'waits: every GPU it could use is held back'
        : `waits: of the GPUs it could use, too many are held back for the ${needed} it needs`;
    return `${lead}: ${whys.join('; ')}${more}`;
  }

  #whyGpuClosed(index: number): string {
    const pause = store.listPauses(this.#parts.db).find((one) => one.gpu_index === index);
    if (pause) return `GPU ${index} is paused by ${pause.paused_by} (${pause.reason})`;
    return `GPU ${index}: ${this.#monitor.closure(index)?.reason ?? ''}`;
  }

  async #look(): Promise<void> {
    await this.#monitor.look();
    this.#warnOfIdle();
    await this.#inTurn(() => this.#reconcile());
  }

  /** Slurm may be away; what was decided is written down, and carried out when it is back. */
  async #reconcile(): Promise<void> {
    const { fleet, log } = this.#parts;
    const held = fleet.gpus.map((gpu) => gpu.index).filter(this.isClosed);
    try {
      await this.#placeholders.reconcile(new Set(held));
      this.#slurmAnswers = true;
    } catch (error) {
      if (!(error instanceof SlurmError)) throw error;
      if (this.#slurmAnswers)
        log.warn({ err: error, held }, 'GPUs could not be held or given back; trying again');
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
    const times = { now: now(), idleMs: minutes * 60_000, lookMs: monitorSeconds * 1000 };
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
    const there = gpus.length === 0 ? 'there are none here' : `there are 0 to ${gpus.length - 1}`;
    throw new AppError('not_found', `there is no GPU ${index}; ${there}`);
  }

  #every(seconds: number, act: () => Promise<void>): Promise<void> {
    return every(seconds * 1000, this.#closing.signal, act, (error) => {
      this.#parts.log.error({ err: error }, 'looking after the GPUs failed');
    });
  }
}
