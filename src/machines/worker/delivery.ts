import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { workerJobSchema } from '../../cluster/workers/record.js';
import type { JobId } from '../../jobs/job.js';
import type { JobFolders } from '../../jobs/job-folders.js';
import { ControllerRefusal, LinkError, type ControllerLink } from './controller-link.js';
import { LogSender } from './log-sender.js';
import type { Outbox, OutboxEntry } from './outbox.js';
import { packOutputs, sendOutputs } from './outputs.js';

/** The pause between two reads of a running job's log. */
const lookMs = 200;
/** The pause after a break of the connection. */
const againMs = 1000;
/**
 * The pause between two questions to the controller whether a job has ended. After a restart of the
 * worker, a job may only seem to run.
 */
const askMs = 15_000;

export interface DeliveryParts {
  link: ControllerLink;
  outbox: Outbox;
  folders: JobFolders;
  log: Logger;
  closing: AbortSignal;
}

/** Sends one job's log as it grows and, after its end, its outputs; then removes them here. */
export class Delivery {
  readonly #parts: DeliveryParts;

  /** Resolves when everything is sent, or the agent stops. */
  readonly done: Promise<void>;
  /** Resolves when the job has ended and the controller has its whole log. */
  readonly logSent: Promise<void>;
  readonly #givingUp = new AbortController();
  #entry: OutboxEntry;
  #tellLogSent = () => {};
  #askedAt = Date.now();
  #wake = () => {};

  constructor(entry: OutboxEntry, parts: DeliveryParts) {
    this.#parts = parts;

    this.#entry = entry;
    this.logSent = new Promise((resolve) => (this.#tellLogSent = resolve));
    parts.closing.addEventListener('abort', () => this.#stop());
    this.done = this.#run();
  }

  /** Returns whether the job runs and uses that dataset. */
  needs(sha256: string): boolean {
    return !this.#entry.ended && this.#entry.dataset === sha256;
  }

  /** Records that the job has ended. */
  end(): void {
    this.#note({ ended: true });
    this.#wake();
  }

  /** Gives up, and removes everything of the job here. */
  async giveUp(): Promise<void> {
    this.#stop();
    await this.done;
    this.#parts.outbox.remove(this.#entry.job_id);
  }

  #stop(): void {
    this.#givingUp.abort();
    this.#wake();
  }

  #note(change: Partial<OutboxEntry>): void {
    this.#entry = { ...this.#entry, ...change };
    this.#parts.outbox.write(this.#entry);
  }

  async #run(): Promise<void> {
    const { link, folders, log } = this.#parts;
    const { signal } = this.#givingUp;
    const { job_id: id } = this.#entry;
    const sender = new LogSender(id, folders.of(id as JobId).logDir, link);
    while (!signal.aborted) {
      try {
        const wasEnded = this.#entry.ended;
        await sender.send(signal);
        if (wasEnded) {
          this.#tellLogSent();
          await this.#sendOutputs();
          await this.#clear();
          return;
        }
        await this.#ask();
        await this.#pause(this.#entry.ended ? 0 : lookMs);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ControllerRefusal && [403, 404].includes(error.status)) {
          log.warn(
            { err: error, job_id: id },
            'the controller refuses further results of this job',
          );
          await this.#clear();
          return;
        }
        if (!(error instanceof LinkError))
          log.error({ err: error, job_id: id }, 'sending a job’s results failed; trying again');
        await this.#pause(error instanceof LinkError ? againMs : askMs);
      }
    }
  }

  async #ask(): Promise<void> {
    if (Date.now() - this.#askedAt < askMs) return;
    const { signal } = this.#givingUp;
    const path = `/workers/jobs/${this.#entry.job_id}`;
    const job = workerJobSchema.parse(await this.#parts.link.call('GET', path, { signal }));
    this.#askedAt = Date.now();
    if (job.ended || !job.yours) this.end();
  }

  async #sendOutputs(): Promise<void> {
    const { link, outbox, folders } = this.#parts;
    const { job_id: id } = this.#entry;
    const path = outbox.archiveOf(id);
    const archive =
      this.#entry.archive ?? (await packOutputs(folders.of(id as JobId).outputDir, path));
    this.#note({ archive });
    await sendOutputs(link, id, path, archive, this.#givingUp.signal);
  }

  async #clear(): Promise<void> {
    const { outbox, folders } = this.#parts;
    await folders.remove(this.#entry.job_id as JobId);
    outbox.remove(this.#entry.job_id);
    this.#tellLogSent();
  }

  async #pause(ms: number): Promise<void> {
    const woken = new Promise<void>((resolve) => (this.#wake = resolve));
    await Promise.race([woken, delay(ms)]);
  }
}
