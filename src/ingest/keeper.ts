import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { abortWith } from '../abort.js';
import type { Database } from '../db/database.js';
import { AppError } from '../errors.js';
import type { JobControl } from '../jobs/control.js';
import type { Job, JobId } from '../jobs/job.js';
import type { JobService } from '../jobs/service.js';
import { KeyLock } from '../key-lock.js';
import * as claims from './claims.js';
import { neverRun, type Outcome } from './outcome.js';
import { persist } from './persist.js';
import type { Claim, IngestItem, IngestSource } from './source.js';
import { submitClaimed } from './submit-claimed.js';

export interface KeeperParts<Item extends IngestItem> {
  source: IngestSource<Item>;
  db: Database;
  jobs: Pick<JobService, 'submit' | 'wait' | 'get'>;
  control: Pick<JobControl, 'cancel'>;
  /** What became of a job that has ended. */
  outcomeOf: (id: JobId, signal: AbortSignal) => Promise<Outcome>;
  /** Whose the jobs are. */
  owner: string;
  leaseMs: number;
  now: () => number;
  log: Logger;
  /** Told of what goes wrong and is tried again. */
  failed: (where: string, error: unknown) => void;
  /** Told when it no longer takes up one of the jobs that this server may have at once. */
  freed: () => void;
}

/** A lease is put off when half of it is over: each time is a commit where people work. */
const renewAfter = 1 / 2;
/** An outcome that cannot be written is given up after this long. */
const reportForMs = 7 * 24 * 3600_000;

/**
 * Looks after one claim from before it is made until its outcome is out there. Each step is in the database before the next one
 * begins: after a crash, another keeper goes on from there.
 */
export class Keeper<Item extends IngestItem> {
  readonly #parts: KeeperParts<Item>;
  readonly #item: Item;
  #row: claims.ClaimRow;
  /** Whether nothing is known of how the claim stands out there, as after a crash. */
  #isUnsure: boolean;
  #isLost = false;
  /** Renewing and reporting, one after another. */
  readonly #turns = new KeyLock<'write'>();
  /** Fires when there is nothing left to keep: it is finished or lost, or the service stops. */
  readonly #over = new AbortController();
  #cancelling: Promise<void> | undefined;

  constructor(parts: KeeperParts<Item>, item: Item, row: claims.ClaimRow, isNew: boolean) {
    this.#parts = parts;
    this.#item = item;
    this.#row = row;
    this.#isUnsure = !isNew;
  }

  get #title(): string {
    return this.#item.title ?? this.#item.key;
  }

  /** Resolves when the claim is finished, or `closing` fires. */
  async run(closing: AbortSignal): Promise<void> {
    const unlink = abortWith(this.#over, closing);
    try {
      if (this.#row.state === 'claiming' && !(await this.#claim())) return;
      const renewing = this.#keepRenewing();
      try {
        await this.#live();
      } finally {
        this.#over.abort();
        await renewing;
        await this.#cancelling;
      }
    } catch (error) {
      // Left for the next start, or for the steps below.
      if (!this.#over.signal.aborted) throw error;
    } finally {
      unlink();
      this.#over.abort();
    }
    if (this.#isLost) await this.#giveUp(closing);
  }

  /** The item was called off: ends its job, which is then reported as any other. */
  cancel(): void {
    if (this.#row.cancelled || !['claimed', 'submitted'].includes(this.#row.state)) return;
    this.#put({ cancelled: true });
    this.#parts.log.info({ item: this.#title }, 'ingest: cancelled out there');
    if (this.#row.state === 'submitted') this.#cancelJob();
  }

  /** @returns whether it is ours. */
  async #claim(): Promise<boolean> {
    const { source, db, now, leaseMs } = this.#parts;
    const result = await this.#persist(async () => {
      this.#put({ lease_until: now() + leaseMs });
      try {
        return await source.claim(this.#item, this.#claimNow(), this.#over.signal);
      } catch (error) {
        if (!(error instanceof AppError)) {
          this.#isUnsure = true;
          throw error;
        }
        this.#parts.failed(this.#title, error);
        return 'lost';
      }
    });
    if (result === 'won') this.#put({ state: 'claimed' });
    else claims.dropClaim(db, this.#row.claim_id);
    return result === 'won';
  }

  async #live(): Promise<void> {
    for (;;) {
      this.#row = claims.getClaim(this.#parts.db, this.#row.claim_id);
      const { state, job_id: jobId } = this.#row;
      if (state === 'claimed') await this.#persist(() => this.#submit());
      else if (state === 'submitted' && jobId !== null) await this.#untilEnded(jobId);
      else if (state === 'ended') return this.#report();
      else throw new Error(`claim ${this.#row.claim_id} is ${state}`);
    }
  }

  async #submit(): Promise<void> {
    const { source, owner, jobs, db, now } = this.#parts;
    const { signal } = this.#over;
    if (this.#row.cancelled) {
      this.#put({ state: 'ended' });
      return;
    }
    const result = await submitClaimed({
      request: () => source.request(this.#item, this.#claimNow(), signal),
      // The request may have taken long, and nothing starts that is not known to be ours.
      beforeSubmit: async () => {
        if (this.#isUnsure || now() >= this.#row.lease_until) await this.#renew();
        signal.throwIfAborted();
      },
      submit: ({ fields, script, contentHash }) =>
        jobs.submit(fields, {
          user: owner,
          script,
          contentHash,
          idempotencyKey: `ingest:${this.#row.route}:${this.#row.nonce}`,
          alongside: (id) =>
            claims.updateClaim(
              db,
              this.#row.claim_id,
              { state: 'submitted', job_id: id },
              this.#parts.now(),
            ),
        }),
    });
    this.#row = claims.getClaim(db, this.#row.claim_id);
    if (this.#row.state !== 'claimed') return;
    if ('refusal' in result) this.#put({ state: 'ended', error: result.refusal });
    else this.#put({ state: 'submitted', job_id: result.jobId });
  }

  async #untilEnded(jobId: JobId): Promise<void> {
    const { jobs, log } = this.#parts;
    log.info({ item: this.#title, job_id: jobId }, 'ingest: submitted');
    if (this.#row.cancelled) this.#cancelJob();
    try {
      const job = await jobs.wait(jobId, this.#over.signal);
      if (!job.terminal) this.#over.signal.throwIfAborted();
    } catch (error) {
      // Somebody has deleted it, which only ended ones can be.
      if (!(error instanceof AppError) || error.code !== 'not_found') throw error;
    }
    this.#put({ state: 'ended' });
  }

  async #report(): Promise<void> {
    const { source, outcomeOf, now } = this.#parts;
    const { job_id: jobId, error, cancelled, updated_at: endedAt } = this.#row;
    const { signal } = this.#over;
    const outcome =
      jobId === null
        ? neverRun(cancelled, error ?? 'was cancelled before it was submitted')
        : await this.#persist(() => outcomeOf(jobId, signal));
    await this.#persist(() =>
      this.#turns.hold('write', async () => {
        signal.throwIfAborted();
        const isTooLate = now() - endedAt > reportForMs;
        const result = isTooLate
          ? 'lost'
          : await source.report(this.#item, this.#claimNow(), outcome, signal);
        if (result === 'lost') this.#isLost = true;
        else this.#put({ state: jobId === null && !cancelled ? 'failed' : 'done' });
      }),
    );
  }

  async #keepRenewing(): Promise<void> {
    const { signal } = this.#over;
    try {
      for (;;) {
        await delay(Math.max(0, this.#renewDue() - this.#parts.now()), undefined, { signal });
        await this.#persist(() => this.#renew());
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** When the lease is to be put off, in milliseconds since 1970. */
  #renewDue(): number {
    const { leaseMs } = this.#parts;
    return this.#isUnsure ? 0 : this.#row.lease_until - leaseMs * (1 - renewAfter);
  }

  async #renew(): Promise<void> {
    const { source, leaseMs, now, jobs } = this.#parts;
    const { signal } = this.#over;
    await this.#turns.hold('write', async () => {
      signal.throwIfAborted();
      if (now() < this.#renewDue()) return;
      const leaseUntil = now() + leaseMs;
      const { job_id: jobId } = this.#row;
      const state = jobId === null ? null : (find(jobs, jobId)?.state ?? null);
      const progress = { jobId, state };
      const claim = { ...this.#claimNow(), leaseUntil };
      const result = await source.renew(this.#item, claim, progress, signal);
      if (result === 'lost') {
        this.#isLost = true;
        this.#over.abort();
        return;
      }
      this.#isUnsure = false;
      this.#put({ lease_until: leaseUntil });
      if (result === 'cancelled') this.cancel();
    });
  }

  /** Another has it, or it is gone: our job is ended, and theirs left alone. */
  async #giveUp(closing: AbortSignal): Promise<void> {
    const { db, log, failed } = this.#parts;
    this.#row = claims.getClaim(db, this.#row.claim_id);
    const { job_id: jobId } = this.#row;
    failed(this.#title, 'the claim is gone: another took it over, or it was taken away');
    log.warn({ item: this.#title, job_id: jobId }, 'ingest: the claim is lost');
    if (jobId !== null)
      await persist(
        () => this.#end(jobId),
        (error) => failed(this.#title, error),
        closing,
      );
    this.#put({ state: 'lost' });
  }

  #cancelJob(): void {
    const { job_id: jobId } = this.#row;
    if (jobId === null) return;
    this.#cancelling ??= this.#persist(() => this.#end(jobId)).catch((error: unknown) => {
      if (!this.#over.signal.aborted) throw error;
    });
  }

  /** @throws while the job goes on. */
  async #end(jobId: JobId): Promise<void> {
    const { control, jobs } = this.#parts;
    try {
      await control.cancel(jobId);
    } catch (error) {
      if (!(error instanceof AppError) || find(jobs, jobId)?.terminal === false) throw error;
    }
  }

  #claimNow(): Claim {
    const { worker, nonce, lease_until: leaseUntil } = this.#row;
    return { worker, nonce, leaseUntil };
  }

  #persist<T>(work: () => Promise<T>): Promise<T> {
    const { failed } = this.#parts;
    return persist(work, (error) => failed(this.#title, error), this.#over.signal);
  }

  #put(change: Parameters<typeof claims.updateClaim>[2]): void {
    const { db, now, freed } = this.#parts;
    claims.updateClaim(db, this.#row.claim_id, change, now());
    this.#row = claims.getClaim(db, this.#row.claim_id);
    if (change.state === 'ended') freed();
  }
}

function find(jobs: Pick<JobService, 'get'>, id: JobId): Job | undefined {
  try {
    return jobs.get(id);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'not_found') throw error;
    return undefined;
  }
}
