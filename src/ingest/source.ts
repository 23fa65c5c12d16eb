import type { z } from 'zod';
import type { JobId, JobState } from '../jobs/job.js';
import type { ScriptFile, SubmitFields } from '../jobs/request.js';
import type { Outcome } from './outcome.js';

/**
 * An outside place where users record jobs. The source finds jobs, claims each for this server and
 * writes back the outcome.
 * Every method may run for several items at once, and throws early when `signal` fires. A thrown
 * error means “try again”; a final answer is a result.
 */
export interface IngestSource<Item extends IngestItem> {
  /** Name of the source in the API, in metrics and in the database, such as `gitlab`. */
  readonly name: string;
  /**
   * Reads an item back from the database. After a restart the claim is renewed and reported without
   * a scan.
   */
  readonly itemSchema: z.ZodType<Item>;
  /**
   * Finds every claimable item: unclaimed ones, and those whose server is dead and whose lease ran
   * out (see expired-leases.ts). An item that is claimed by the time it is yielded does no harm, as
   * {@link claim} decides.
   * @throws when the whole scan fails; problems of one project or item go to `notes`
   */
  scan(notes: ScanNotes, signal: AbortSignal): AsyncIterable<Item>;
  /**
   * Tries to claim an item for this server. After a crash or a lost reply the same claim is tried
   * again; the nonce at the source then tells whether the first try succeeded.
   * @throws AppError when the item is certainly not claimed and trying again now is pointless: the
   *   error is shown, and a later scan tries again. After any other error the outcome is unknown,
   *   and the same claim is repeated.
   */
  claim(item: Item, claim: Claim, signal: AbortSignal): Promise<'won' | 'lost'>;
  /**
   * Makes the request to submit for a claimed item.
   * @throws AppError when the item itself is wrong: it is reported as refused and never runs. After
   *   any other error the call is repeated.
   */
  request(item: Item, claim: Claim, signal: AbortSignal): Promise<IngestRequest>;
  /**
   * Writes `claim.leaseUntil`, which is later than before, and the job’s state. `cancelled`: the
   * claim is still ours, but its job must end; its outcome is reported like any other. `lost`:
   * another server has it, or it is gone; nothing more is written.
   */
  renew(
    item: Item,
    claim: Claim,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<'kept' | 'cancelled' | 'lost'>;
  /**
   * Writes the outcome, which ends the claim. Never overwrites another server’s claim. The call is
   * repeated while its success is unknown.
   */
  report(
    item: Item,
    claim: Claim,
    outcome: Outcome,
    signal: AbortSignal,
  ): Promise<'written' | 'lost'>;
}

/** A job as recorded at the source; JSON, kept with its claim. */
export interface IngestItem {
  /** Permanent identity within the source, such as `<project>/<job>`; at most 500 characters. */
  key: string;
  /** Name for its users, if it differs from the key. */
  title?: string | undefined;
}

/** A server’s claim on one item. */
export interface Claim {
  /** Name of the claiming server or runner; see `JR_WORKER_ID`. */
  worker: string;
  /**
   * Random value, new for each claim. It distinguishes two servers of one name, and two claims of
   * one server.
   */
  nonce: string;
  /** Milliseconds since 1970. */
  leaseUntil: number;
}

/** State of the job; both members are null until the job is recorded here. */
export interface Progress {
  jobId: JobId | null;
  state: JobState | null;
}

/** Receives the findings of a scan besides its items. */
export interface ScanNotes {
  /** @param where name of the project, file or job for its users */
  problem(where: string, message: string): void;
  /** Reports a failure of the source as a whole, such as no connection, that is being retried. */
  retrying(message: string): void;
  /** Reports a cancelled item. If it is ours, its job ends and is reported as cancelled. */
  cancelled(key: string): void;
}

export interface IngestRequest {
  fields: SubmitFields;
  script?: ScriptFile | undefined;
  /** Digest of a file that the job runs in place. */
  contentHash?: string | undefined;
}
