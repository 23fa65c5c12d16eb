import pLimit from 'p-limit';
import type { Logger } from 'pino';
import { NODE_NAME } from '../../config/layout.js';
import type { Database } from '../../db/database.js';
import { AppError } from '../../errors.js';
import { Loops } from '../../every.js';
import { RepeatedError } from '../../repeated-error.js';
import type { OperatorClient } from '../slurm/client.js';
import { SlurmError } from '../slurm/command.js';
import type { GpuFleet } from './choose.js';
import * as store from './pause-store.js';
import type { GpuPause } from './pause-store.js';
import { Placeholders } from './placeholders.js';
import { StateFile } from './state-file.js';

const workersPollMs = 1000;

/** The facts about a worker that its GPUs' pauses need. */
interface WorkerWithGpus {
  name: string;
  /** Differs after the worker left and joined again. */
  joined_at: number;
  gpus: readonly unknown[];
}

export interface GpuPausesParts {
  db: Database;
  slurm: OperatorClient;
  /** GPUs of this machine; those of workers have its type and shards. */
  fleet: GpuFleet;
  /** Tells whether foreign processes close that GPU of this machine. */
  isInForeignUse: (index: number) => boolean;
  /** Lists the workers that have joined; undefined if none may. */
  workers: (() => readonly WorkerWithGpus[]) | undefined;
  stateFile: string;
  stateSeconds: number;
  /** Interval between two checks of a worker's placeholders. */
  checkSeconds: number;
  now: () => number;
  log: Logger;
}

/**
 * The pauses of GPUs, of this machine and of workers. Placeholders close a paused GPU to jobs. A
 * pause lasts while its worker is away.
 */
export class GpuPauses {
  readonly #parts: GpuPausesParts;
  /** Lists the pauses of this machine's GPUs alone. */
  readonly #file: StateFile;
  /** Runs one change at a time. */
  readonly #inTurn = pLimit(1);
  readonly #loops = new Loops();
  /** Time at which each worker's placeholders were last reconciled, by worker and joining time. */
  readonly #doneAt = new Map<string, number>();
  /** Nodes whose last reconciliation failed. */
  readonly #failed = new Set<string>();

  constructor(parts: GpuPausesParts) {
    this.#parts = parts;
    this.#file = new StateFile(parts.stateFile, parts.fleet.gpus.length, parts.log);
  }

  /**
   * Resolves once the GPUs of this machine paused before are closed again, or Slurm did not answer;
   * polling then continues.
   */
  async start(): Promise<void> {
    const { fleet, stateSeconds, workers, now, log } = this.#parts;
    if (fleet.gpus.length > 0) {
      const trouble = new RepeatedError(log, 'could not check the GPUs', now);
      await this.#inTurn(async () => {
        await this.#readFile();
        await this.#file.write(this.#pausedHere());
        await this.#reconcileHere();
      }).catch(trouble.failed);
      this.#loops.start(stateSeconds * 1000, () => this.#inTurn(() => this.#readFile()), trouble);
    }
    if (workers === undefined) return;
    this.#loops.start(
      workersPollMs,
      () => this.#pollWorkers(workers()),
      new RepeatedError(log, 'could not check the GPUs of workers', now),
    );
  }

  close(): Promise<void> {
    return this.#loops.close();
  }

  /** Says why the state file cannot be used; null if it can. */
  get fileProblem(): string | null {
    return this.#file.problem;
  }

  /** Lists the pauses on all nodes. */
  all(): GpuPause[] {
    return store.listPauses(this.#parts.db);
  }

  /** Lists the pauses of this machine's GPUs. */
  here(): GpuPause[] {
    return this.all().filter((pause) => pause.node === NODE_NAME);
  }

  /**
   * Lets running jobs on the GPU end, and no other start.
   * @throws AppError not_found; conflict if it is paused already
   */
  async pause(node: string, index: number, by: string, reason: string): Promise<void> {
    this.#refuseUnknown(node, index);
    await this.#inTurn(async () => {
      if (node === NODE_NAME) await this.#readFile();
      const present = this.all().find((one) => one.node === node && one.gpu_index === index);
      if (present)
        throw new AppError(
          'conflict',
          `${nameOf(node, index)} is paused already, by ${present.paused_by} (${present.reason})`,
          { details: { by: present.paused_by, reason: present.reason } },
        );
      // Writes the file first: after a crash here, the pause is found in it.
      if (node === NODE_NAME) await this.#file.write([...this.#pausedHere(), index]);
      this.#insert(node, index, by, reason);
      await this.#reconcileNode(node);
    });
  }

  /** Lets jobs start on the GPU again. @throws AppError not_found; conflict if it is not paused */
  async resume(node: string, index: number): Promise<void> {
    this.#refuseUnknown(node, index);
    await this.#inTurn(async () => {
      if (node === NODE_NAME) await this.#readFile();
      if (!store.deletePause(this.#parts.db, node, index))
        throw new AppError('conflict', `${nameOf(node, index)} is not paused`);
      if (node === NODE_NAME) await this.#file.write(this.#pausedHere());
      await this.#reconcileNode(node);
    });
  }

  /** Tells Slurm which GPUs of this machine are closed now. */
  async reconcileHere(): Promise<void> {
    await this.#inTurn(() => this.#reconcileHere());
  }

  async #readFile(): Promise<void> {
    const { db, log } = this.#parts;
    const change = await this.#file.read(this.#pausedHere());
    for (const index of change.pause)
      this.#insert(NODE_NAME, index, 'the state file', 'listed in paused_gpus');
    for (const index of change.resume) store.deletePause(db, NODE_NAME, index);
    if (change.pause.length + change.resume.length === 0) return;
    log.info(change, 'the state file was edited');
    await this.#reconcileHere();
  }

  #insert(node: string, index: number, by: string, reason: string): void {
    const { db, now } = this.#parts;
    const pause = { node, gpu_index: index, reason, paused_by: by, paused_at: now() };
    store.insertPause(db, pause);
  }

  /** Lists the paused GPUs of this machine that still exist. */
  #pausedHere(): number[] {
    const known = new Set(this.#parts.fleet.gpus.map((gpu) => gpu.index));
    return this.here()
      .map((pause) => pause.gpu_index)
      .filter((index) => known.has(index));
  }

  async #pollWorkers(workers: readonly WorkerWithGpus[]): Promise<void> {
    const { now, checkSeconds } = this.#parts;
    const paused = new Set(this.all().map(({ node }) => node));
    for (const worker of workers) {
      const doneAt = this.#doneAt.get(keyOf(worker));
      // A worker without pauses is checked once, for leftover placeholders.
      const isDue =
        doneAt === undefined || (paused.has(worker.name) && now() - doneAt >= checkSeconds * 1000);
      if (isDue) await this.#inTurn(() => this.#reconcileWorker(worker));
    }
  }

  async #reconcileNode(node: string): Promise<void> {
    if (node === NODE_NAME) return this.#reconcileHere();
    const worker = this.#workers().find(({ name }) => name === node);
    // It has left since the request came.
    if (worker !== undefined) await this.#reconcileWorker(worker);
  }

  async #reconcileHere(): Promise<void> {
    const { fleet, isInForeignUse } = this.#parts;
    const paused = new Set(this.#pausedHere());
    const closed = fleet.gpus
      .map((gpu) => gpu.index)
      .filter((index) => paused.has(index) || isInForeignUse(index));
    await this.#attempt(NODE_NAME, () => this.#closeOnly(NODE_NAME, closed));
  }

  async #reconcileWorker(worker: WorkerWithGpus): Promise<void> {
    const { slurm, now } = this.#parts;
    await this.#attempt(worker.name, async () => {
      const node = (await slurm.nodes()).find(({ name }) => name === worker.name);
      if (node === undefined || /^(down|unk|fail|error)/.test(node.state)) return;
      const paused = this.all()
        .filter((pause) => pause.node === worker.name && pause.gpu_index < worker.gpus.length)
        .map((pause) => pause.gpu_index);
      await this.#closeOnly(worker.name, paused);
      this.#doneAt.set(keyOf(worker), now());
    });
  }

  async #closeOnly(node: string, indices: readonly number[]): Promise<void> {
    const { slurm, fleet } = this.#parts;
    await new Placeholders(slurm, fleet, node).reconcile(new Set(indices));
  }

  /**
   * Reconciles a node. Pauses are recorded, so they are carried out later if Slurm does not answer
   * or does not know the worker yet.
   */
  async #attempt(node: string, reconcile: () => Promise<void>): Promise<void> {
    try {
      await reconcile();
      this.#failed.delete(node);
    } catch (error) {
      if (!(error instanceof SlurmError)) throw error;
      if (!this.#failed.has(node))
        this.#parts.log.warn(
          { err: error, node },
          'GPUs could not be closed or opened; trying again',
        );
      this.#failed.add(node);
    }
  }

  #workers(): readonly WorkerWithGpus[] {
    return this.#parts.workers?.() ?? [];
  }

  /** @throws AppError not_found */
  #refuseUnknown(node: string, index: number): void {
    const count = this.#gpuCount(node);
    if (index < count) return;
    const there = count === 0 ? 'none' : `0 to ${count - 1}`;
    throw new AppError('not_found', `unknown ${nameOf(node, index)}; available: ${there}`, {
      details: { fields: ['index'] },
    });
  }

  /** @throws AppError not_found */
  #gpuCount(node: string): number {
    if (node === NODE_NAME) return this.#parts.fleet.gpus.length;
    if (this.#parts.workers === undefined)
      throw new AppError('not_found', 'no worker may join here; JR_JOIN_PORT is not set');
    const worker = this.#workers().find(({ name }) => name === node);
    if (worker !== undefined) return worker.gpus.length;
    const there = this.#workers().map(({ name }) => name);
    throw new AppError(
      'not_found',
      `unknown worker ${node}; available: ${there.join(', ') || 'none'}`,
      { details: { fields: ['name'] } },
    );
  }
}

function nameOf(node: string, index: number): string {
  return node === NODE_NAME ? `GPU ${index}` : `GPU ${index} of ${node}`;
}

const keyOf = ({ name, joined_at }: WorkerWithGpus) => `${name} ${joined_at}`;
