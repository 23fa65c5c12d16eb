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

const lookMs = 1000;

export interface WorkerPauseParts {
  db: Database;
  slurm: OperatorClient;
  workers: WorkerList;
  fleet: Pick<GpuFleet, 'shardsPerGpu' | 'gpuType'>;
  /** Between two looks at placeholders that are there, for all we know. */
  everySeconds: number;
  now: () => number;
  log: Logger;
}

/** Keeps jobs off paused GPUs of workers, with placeholders as on this machine; a pause outlives its worker's leaving and coming back. */
export class WorkerPauses {
  readonly #inTurn = pLimit(1);
  readonly #closing = new AbortController();
  /** When each worker's placeholders were last put right, by the worker and when it joined. */
  readonly #doneAt = new Map<string, number>();
  #slurmAnswers = true;
  #loop: Promise<void> | undefined;

  constructor(private readonly parts: WorkerPauseParts) {}

  start(): void {
    this.#loop = every(
      lookMs,
      this.#closing.signal,
      () => this.#look(),
      (error) => {
        this.parts.log.error({ err: error }, 'looking after the GPUs of workers failed');
      },
    );
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  list(): store.WorkerPause[] {
    return store.listWorkerPauses(this.parts.db);
  }

  /**
   * Lets what runs on the GPU end, and nothing start.
   * @throws AppError not_found, conflict when it is paused already.
   */
  async pause(node: string, index: number, by: string, reason: string): Promise<void> {
    const worker = this.#demand(node, index);
    const { db, now } = this.parts;
    const pause = { node, gpu_index: index, reason, paused_by: by, paused_at: now() };
    if (!store.insertWorkerPause(db, pause))
      throw new AppError('conflict', `GPU ${index} of ${node} is paused already`);
    await this.#inTurn(() => this.#putRight(worker));
  }

  /** @throws AppError not_found, conflict when it is not paused. */
  async resume(node: string, index: number): Promise<void> {
    const worker = this.#demand(node, index);
    if (!store.deleteWorkerPause(this.parts.db, node, index))
      throw new AppError('conflict', `GPU ${index} of ${node} is not paused`);
    await this.#inTurn(() => this.#putRight(worker));
  }

  #demand(node: string, index: number): WorkerRecord {
    const open = this.parts.workers.open();
    const worker = open.find(({ name }) => name === node);
    if (worker === undefined) {
      const there = open.length === 0 ? '' : `; there are ${open.map((b) => b.name).join(', ')}`;
      throw new AppError('not_found', `there is no worker ${node}${there}`);
    }
    if (index < worker.gpus.length) return worker;
    const has = worker.gpus.length === 0 ? 'no GPU' : `GPUs 0 to ${worker.gpus.length - 1}`;
    throw new AppError('not_found', `there is no GPU ${index} on ${node}; it has ${has}`);
  }

  async #look(): Promise<void> {
    const { workers, now, everySeconds } = this.parts;
    const paused = new Set(this.list().map(({ node }) => node));
    for (const worker of workers.open()) {
      const doneAt = this.#doneAt.get(keyOf(worker));
      // One that has none paused is looked at once, for placeholders of before.
      const isDue =
        doneAt === undefined || (paused.has(worker.name) && now() - doneAt >= everySeconds * 1000);
      if (isDue) await this.#inTurn(() => this.#putRight(worker));
    }
  }

  /** Slurm may be away, or not know the worker yet; what was decided is written down, and carried out when it does. */
  async #putRight(worker: WorkerRecord): Promise<void> {
    const { slurm, fleet, now, log } = this.parts;
    try {
      const node = (await slurm.nodes()).find(({ name }) => name === worker.name);
      if (node === undefined || /^(down|unk|fail|error)/.test(node.state)) return;
      const held = this.list()
        .filter((pause) => pause.node === worker.name && pause.gpu_index < worker.gpus.length)
        .map((pause) => pause.gpu_index);
      await new Placeholders(slurm, fleet, worker.name).reconcile(new Set(held));
      this.#doneAt.set(keyOf(worker), now());
      this.#slurmAnswers = true;
    } catch (error) {
      if (!(error instanceof SlurmError)) throw error;
      if (this.#slurmAnswers)
        log.warn({ err: error }, 'GPUs of a worker are held once Slurm can be asked for it');
      this.#slurmAnswers = false;
    }
  }
}

const keyOf = ({ name, joined_at }: WorkerRecord) => `${name} ${joined_at}`;
