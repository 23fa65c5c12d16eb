import { every } from '../../every.js';
import pLimit from 'p-limit';
import type { Logger } from 'pino';
import type { Database } from '../../db/database.js';
import { AppError } from '../../errors.js';
import type { GpuFleet } from '../gpus/choose.js';
import { Placeholders } from '../gpus/placeholders.js';
import type { OperatorClient } from '../slurm/client.js';
import { SlurmError } from '../slurm/command.js';
import type { WorkerList } from './worker-list.js';
import * as store from './gpu-pauses-store.js';
import type { WorkerRecord } from './record.js';

const pollMs = 1000;

export interface WorkerPauseParts {
  db: Database;
  slurm: OperatorClient;
  workers: WorkerList;
  fleet: Pick<GpuFleet, 'shardsPerGpu' | 'gpuType'>;
  /** Interval between two checks of placeholders that should exist. */
  everySeconds: number;
  now: () => number;
  log: Logger;
}

/**
 * Closes paused GPUs of workers with placeholders, as on this machine. A pause lasts while its
 * worker is away.
 */
export class WorkerPauses {
  readonly #parts: WorkerPauseParts;

  readonly #inTurn = pLimit(1);
  readonly #closing = new AbortController();
  /** Time at which each worker's placeholders were last reconciled, by worker and joining time. */
  readonly #doneAt = new Map<string, number>();
  #slurmAnswers = true;
  #loop: Promise<void> | undefined;

  constructor(parts: WorkerPauseParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#loop = every(
      pollMs,
      this.#closing.signal,
      () => this.#poll(),
      (error) => {
        this.#parts.log.error({ err: error }, 'could not check the GPUs of workers');
      },
    );
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  list(): store.WorkerPause[] {
    return store.listWorkerPauses(this.#parts.db);
  }

  /**
   * Lets running jobs on the GPU end, and no other start.
   * @throws AppError not_found; conflict if it is paused already
   */
  async pause(node: string, index: number, by: string, reason: string): Promise<void> {
    const worker = this.#find(node, index);
    const { db, now } = this.#parts;
    const pause = { node, gpu_index: index, reason, paused_by: by, paused_at: now() };
    if (!store.insertWorkerPause(db, pause))
      throw new AppError('conflict', `GPU ${index} of ${node} is paused already`);
    await this.#inTurn(() => this.#reconcile(worker));
  }

  /** Lets jobs start on the GPU again. @throws AppError not_found; conflict if it is not paused */
  async resume(node: string, index: number): Promise<void> {
    const worker = this.#find(node, index);
    if (!store.deleteWorkerPause(this.#parts.db, node, index))
      throw new AppError('conflict', `GPU ${index} of ${node} is not paused`);
    await this.#inTurn(() => this.#reconcile(worker));
  }

  /** @throws AppError not_found */
  #find(node: string, index: number): WorkerRecord {
    const open = this.#parts.workers.open();
    const worker = open.find(({ name }) => name === node);
    if (worker === undefined) {
      const there = open.map((one) => one.name).join(', ') || 'none';
      throw new AppError('not_found', `unknown worker ${node}; available: ${there}`);
    }
    if (index < worker.gpus.length) return worker;
    const there = worker.gpus.length === 0 ? 'none' : `0 to ${worker.gpus.length - 1}`;
    throw new AppError('not_found', `unknown GPU ${index} of ${node}; available: ${there}`);
  }

  async #poll(): Promise<void> {
    const { workers, now, everySeconds } = this.#parts;
    const paused = new Set(this.list().map(({ node }) => node));
    for (const worker of workers.open()) {
      const doneAt = this.#doneAt.get(keyOf(worker));
      // A worker without pauses is checked once, for leftover placeholders.
      const isDue =
        doneAt === undefined || (paused.has(worker.name) && now() - doneAt >= everySeconds * 1000);
      if (isDue) await this.#inTurn(() => this.#reconcile(worker));
    }
  }

  /**
   * Tells Slurm which GPUs are closed. Pauses are recorded, so they are carried out later if Slurm
   * does not answer or does not know the worker yet.
   */
  async #reconcile(worker: WorkerRecord): Promise<void> {
    const { slurm, fleet, now, log } = this.#parts;
    try {
      const node = (await slurm.nodes()).find(({ name }) => name === worker.name);
      if (node === undefined || /^(down|unk|fail|error)/.test(node.state)) return;
      const paused = this.list()
        .filter((pause) => pause.node === worker.name && pause.gpu_index < worker.gpus.length)
        .map((pause) => pause.gpu_index);
      await new Placeholders(slurm, fleet, worker.name).reconcile(new Set(paused));
      this.#doneAt.set(keyOf(worker), now());
      this.#slurmAnswers = true;
    } catch (error) {
      if (!(error instanceof SlurmError)) throw error;
      if (this.#slurmAnswers)
        log.warn({ err: error }, 'GPUs of a worker could not be closed or opened; trying again');
      this.#slurmAnswers = false;
    }
  }
}

const keyOf = ({ name, joined_at }: WorkerRecord) => `${name} ${joined_at}`;
