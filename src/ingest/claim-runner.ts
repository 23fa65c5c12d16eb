import type { Logger } from 'pino';
import { abortWith } from '../abort.js';
import type { Database } from '../db/database.js';
import { AppError } from '../errors.js';
import type { JobControl } from '../jobs/control.js';
import type { Job, JobId } from '../jobs/job.js';
import type { JobService } from '../jobs/service.js';
import type { ClaimRow } from './claims.js';
import { ClaimHandle } from './claim-handle.js';
import { Lease } from './lease.js';
import { neverRun, type Outcome } from './outcome.js';
import { persist } from './persist.js';
import type { IngestItem, IngestSource } from './source.js';
import { submitClaimed } from './submit-claimed.js';

export interface ClaimRunnerParts<Item extends IngestItem> {
  source: IngestSource<Item>;
  db: Database;
  jobs: Pick<JobService, 'submit' | 'wait' | 'get'>;
  control: Pick<JobControl, 'cancel'>;
  /** Reads the outcome of an ended job. */
  outcomeOf: (id: JobId, signal: AbortSignal) => Promise<Outcome>;
  /** Owner of the jobs. */
  owner: string;
  leaseMs: number;
  now: () => number;
  log: Logger;
  /** Receives each failure that is retried. */
  failed: (where: string, error: unknown) => void;
  /** Called when the claim no longer counts towards `max_jobs`. */
  freed: () => void;
}

/** A runner stops trying to report an outcome after this time. */
const reportForMs = 7 * 24 * 3600_000;

/**
 * Runs one claim, from before it is made until its outcome is reported. Each step is in the
 * database before the next one begins, so another runner can continue after a crash.
 */
export class ClaimRunner<Item extends IngestItem> {
  readonly #parts: ClaimRunnerParts<Item>;
  readonly #claim: ClaimHandle<Item>;
  readonly #lease: Lease<Item>;
  /** Fires when the claim is finished or lost, or when the service stops. */
  readonly #over = new AbortController();
  #cancelling: Promise<void> | undefined;

  constructor(parts: ClaimRunnerParts<Item>, item: Item, row: ClaimRow, isNew: boolean) {
    const { source, db, leaseMs, now, jobs } = parts;
    const claim = new ClaimHandle(db, now, item, row);
    this.#parts = parts;
    this.#claim = claim;
    const progress = () => {
      const { job_id: jobId } = claim.row;
      return { jobId, state: jobId === null ? null : (find(jobs, jobId)?.state ?? null) };
    };
    this.#lease = new Lease(
      {
        source,
        handle: claim,
        leaseMs,
        now,
        progress,
        over: this.#over,
        onCancelled: () => this.cancel(),
        failed: this.#failed,
      },
      !isNew,
    );
  }

  /** Resolves when the claim is finished, or `closing` fires. */
  async run(closing: AbortSignal): Promise<void> {
    const unlink = abortWith(this.#over, closing);
    let renewing: Promise<void> | undefined;
    try {
      if (this.#claim.row.state === 'claiming' && !(await this.#makeClaim())) return;
      renewing = this.#lease.keep();
      await this.#live();
    } catch (error) {
      // The next start continues, or the step below does.
      if (!this.#over.signal.aborted) throw error;
    } finally {
      this.#over.abort();
      unlink();
      await renewing;
      await this.#cancelling;
    }
    if (this.#lease.isLost) await this.#giveUp(closing);
  }

  /** Cancels the item’s job. Its outcome is reported like any other. */
  cancel(): void {
    const { state, cancelled } = this.#claim.row;
    if (cancelled || !['claimed', 'submitted'].includes(state)) return;
    this.#claim.put({ cancelled: true });
    this.#parts.log.info({ item: this.#claim.title }, 'ingest: cancelled at the source');
    if (state === 'submitted') this.#cancelJob();
  }

  /** @returns whether the claim is ours */
  async #makeClaim(): Promise<boolean> {
    const { source, now, leaseMs } = this.#parts;
    const claim = this.#claim;
    return this.#persist(async () => {
      claim.put({ lease_until: now() + leaseMs });
      try {
        const result = await source.claim(claim.item, claim.asClaim, this.#over.signal);
        if (result === 'won') claim.put({ state: 'claimed' });
        else claim.drop();
        return result === 'won';
      } catch (error) {
        this.#lease.markUncertain();
        if (!(error instanceof AppError)) throw error;
        this.#failed(error);
        claim.drop();
        return false;
      }
    });
  }

  async #live(): Promise<void> {
    for (;;) {
      const { state, job_id: jobId, claim_id: id } = this.#claim.row;
      if (state === 'claimed') await this.#persist(() => this.#submit());
      else if (state === 'submitted' && jobId !== null)
        await this.#persist(() => this.#untilEnded(jobId));
      else if (state === 'ended') return this.#report();
      else throw new Error(`claim ${id} is ${state}`);
    }
  }

  async #submit(): Promise<void> {
    const { source, owner, jobs } = this.#parts;
    const claim = this.#claim;
    claim.reread();
    // The failed step may have been the confirmation alone.
    if (claim.row.state !== 'claimed') return;
    if (claim.row.cancelled) {
      this.#ended();
      return;
    }
    const { source: name, nonce } = claim.row;
    const result = await submitClaimed({
      request: () => source.request(claim.item, claim.asClaim, this.#over.signal),
      // Preparing may have taken long, and only a claim that is certainly ours may start a job.
      beforeSubmit: () => this.#lease.ensureValid(),
      submit: ({ fields, script, contentHash }) =>
        jobs.submit(fields, {
          user: owner,
          script,
          contentHash,
          idempotencyKey: `ingest:${name}:${nonce}`,
          alongside: (id) => claim.put({ state: 'submitted', job_id: id }),
        }),
    });
    if (claim.row.state !== 'claimed') return;
    if ('refusal' in result) this.#ended({ error: result.refusal });
    else claim.put({ state: 'submitted', job_id: result.jobId });
  }

  async #untilEnded(jobId: JobId): Promise<void> {
    const { jobs, log } = this.#parts;
    log.info({ item: this.#claim.title, job_id: jobId }, 'ingest: submitted');
    if (this.#claim.row.cancelled) this.#cancelJob();
    try {
      const job = await jobs.wait(jobId, this.#over.signal);
      if (!job.terminal) this.#over.signal.throwIfAborted();
    } catch (error) {
      // The job was deleted, which is only possible after its end.
      if (!(error instanceof AppError) || error.code !== 'not_found') throw error;
    }
    this.#ended();
  }

  async #report(): Promise<void> {
    const { source, outcomeOf, now } = this.#parts;
    const claim = this.#claim;
    const { job_id: jobId, error, cancelled, updated_at: endedAt } = claim.row;
    const { signal } = this.#over;
    const outcome =
      jobId === null
        ? neverRun(cancelled, error ?? 'was cancelled before it was submitted')
        : await this.#persist(() => outcomeOf(jobId, signal));
    const write = async () =>
      now() - endedAt > reportForMs
        ? ('lost' as const)
        : source.report(claim.item, claim.asClaim, outcome, signal);
    const isOurs = await this.#persist(() => this.#lease.end(write));
    const state = jobId === null && !cancelled ? 'failed' : 'done';
    if (isOurs) await this.#persist(() => claim.put({ state }));
  }

  /** Ends our job and leaves the other server’s claim alone. */
  async #giveUp(closing: AbortSignal): Promise<void> {
    const claim = this.#claim;
    const { job_id: jobId } = claim.row;
    this.#failed('the claim is gone: another took it over, or it was taken away');
    const giveUp = async () => {
      if (jobId !== null) await this.#end(jobId);
      claim.put({ state: 'lost' });
    };
    await persist(giveUp, this.#failed, closing);
  }

  #cancelJob(): void {
    const { job_id: jobId } = this.#claim.row;
    if (jobId === null) return;
    this.#cancelling ??= this.#persist(() => this.#end(jobId)).catch((error: unknown) => {
      if (!this.#over.signal.aborted) throw error;
    });
  }

  /** @throws as long as the job is still live */
  async #end(jobId: JobId): Promise<void> {
    const { control, jobs } = this.#parts;
    try {
      await control.cancel(jobId);
    } catch (error) {
      if (!(error instanceof AppError) || find(jobs, jobId)?.terminal === false) throw error;
    }
  }

  readonly #failed = (error: unknown): void => {
    this.#parts.failed(this.#claim.title, error);
  };

  #persist<T>(work: () => Promise<T> | T): Promise<T> {
    return persist(work, this.#failed, this.#over.signal);
  }

  #ended(change: { error?: string } = {}): void {
    this.#claim.put({ ...change, state: 'ended' });
    this.#parts.freed();
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
