import { every } from '../../every.js';
import pLimit from 'p-limit';
import type { Logger } from 'pino';
import type { Database } from '../../db/database.js';
import { AppError } from '../../errors.js';
import type { GpuFleet } from '../gpus/choose.js';
import { Placeholders } from '../gpus/placeholders.js';
import type { OperatorClient } from '../slurm/client.js';
import { SlurmError } from '../slurm/command.js';
import type { BoxList } from './worker-list.js';
import * as store from './gpu-pauses-store.js';
import type { BoxRecord } from './record.js';

const lookMs = 1000;

export interface BoxPauseParts {
  db: Database;
  slurm: OperatorClient;
  boxes: BoxList;
  fleet: Pick<GpuFleet, 'shardsPerGpu' | 'gpuType'>;
  /** Between two looks at placeholders that are there, for all we know. */
  everySeconds: number;
  now: () => number;
  log: Logger;
}

/** Keeps jobs off paused GPUs of worker boxes, with placeholders as on this machine; a pause outlives its box's leaving and coming back. */
export class BoxPauses {
  readonly #inTurn = pLimit(1);
  readonly #closing = new AbortController();
  /** When each box's placeholders were last put right, by the box and when it joined. */
  readonly #doneAt = new Map<string, number>();
  #slurmAnswers = true;
  #loop: Promise<void> | undefined;

  constructor(private readonly parts: BoxPauseParts) {}

  start(): void {
    this.#loop = every(
      lookMs,
      this.#closing.signal,
      () => this.#look(),
      (error) => {
        this.parts.log.error({ err: error }, 'looking after the GPUs of boxes failed');
      },
    );
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  list(): store.BoxPause[] {
    return store.listBoxPauses(this.parts.db);
  }

  /**
   * Lets what runs on the GPU end, and nothing start.
   * @throws AppError not_found, conflict when it is paused already.
   */
  async pause(node: string, index: number, by: string, reason: string): Promise<void> {
    const box = this.#demand(node, index);
    const { db, now } = this.parts;
    const pause = { node, gpu_index: index, reason, paused_by: by, paused_at: now() };
    if (!store.insertBoxPause(db, pause))
      throw new AppError('conflict', `GPU ${index} of ${node} is paused already`);
    await this.#inTurn(() => this.#putRight(box));
  }

  /** @throws AppError not_found, conflict when it is not paused. */
  async resume(node: string, index: number): Promise<void> {
    const box = this.#demand(node, index);
    if (!store.deleteBoxPause(this.parts.db, node, index))
      throw new AppError('conflict', `GPU ${index} of ${node} is not paused`);
    await this.#inTurn(() => this.#putRight(box));
  }

  #demand(node: string, index: number): BoxRecord {
    const open = this.parts.boxes.open();
    const box = open.find(({ name }) => name === node);
    if (box === undefined) {
      const there = open.length === 0 ? '' : `; there are ${open.map((b) => b.name).join(', ')}`;
      throw new AppError('not_found', `there is no box ${node}${there}`);
    }
    if (index < box.gpus.length) return box;
    const has = box.gpus.length === 0 ? 'no GPU' : `GPUs 0 to ${box.gpus.length - 1}`;
    throw new AppError('not_found', `there is no GPU ${index} on ${node}; it has ${has}`);
  }

  async #look(): Promise<void> {
    const { boxes, now, everySeconds } = this.parts;
    const paused = new Set(this.list().map(({ node }) => node));
    for (const box of boxes.open()) {
      const doneAt = this.#doneAt.get(keyOf(box));
      // One that has none paused is looked at once, for placeholders of before.
      const isDue =
        doneAt === undefined || (paused.has(box.name) && now() - doneAt >= everySeconds * 1000);
      if (isDue) await this.#inTurn(() => this.#putRight(box));
    }
  }

  /** Slurm may be away, or not know the box yet; what was decided is written down, and carried out when it does. */
  async #putRight(box: BoxRecord): Promise<void> {
    const { slurm, fleet, now, log } = this.parts;
    try {
      const node = (await slurm.nodes()).find(({ name }) => name === box.name);
      if (node === undefined || /^(down|unk|fail|error)/.test(node.state)) return;
      const held = this.list()
        .filter((pause) => pause.node === box.name && pause.gpu_index < box.gpus.length)
        .map((pause) => pause.gpu_index);
      await new Placeholders(slurm, fleet, box.name).reconcile(new Set(held));
      this.#doneAt.set(keyOf(box), now());
      this.#slurmAnswers = true;
    } catch (error) {
      if (!(error instanceof SlurmError)) throw error;
      if (this.#slurmAnswers)
        log.warn({ err: error }, 'GPUs of a box are held once Slurm can be asked for it');
      this.#slurmAnswers = false;
    }
  }
}

const keyOf = ({ name, joined_at }: BoxRecord) => `${name} ${joined_at}`;
