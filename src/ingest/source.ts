import type { z } from 'zod';
import type { JobId, JobState } from '../jobs/job.js';
import type { ScriptFile, SubmitFields } from '../jobs/request.js';
import type { Outcome } from './outcome.js';

/**
 * Somewhere outside where jobs are written down: finds them, claims each for this server, writes back what became of it. Every
 * method may be called for several items at once, and ends early, by an error, when `signal` fires. An error that is thrown
 * means that it may be tried again; what is final is said by the result.
 */
export interface IngestSource<Item extends IngestItem> {
  /** The route's name in the API, in metrics and in the database, such as `gitlab`. */
  readonly name: string;
  /** Reads an item back from the database: after a restart it is renewed and reported without a scan. */
  readonly itemSchema: z.ZodType<Item>;
  /**
   * Everything that may be claimed now: what nobody has claimed, and what a dead server's lease has run out on (see
   * expired-leases.ts). What has been claimed by the time it is yielded does no harm: {@link claim} decides.
   * @throws when the scan as a whole cannot be made; what is wrong with a project or an item goes to `notes`
   */
  scan(notes: ScanNotes, signal: AbortSignal): AsyncIterable<Item>;
  /**
   * Tries to make it ours. Called again with the same claim after a crash or a lost reply, and then tells by the nonce out there
   * whether the first call came through.
   * @throws AppError it is certainly not claimed, and trying again now is pointless: shown, and left to a later scan. Any other
   *   error: nobody knows; asked again.
   */
  claim(item: Item, claim: Claim, signal: AbortSignal): Promise<'won' | 'lost'>;
  /**
   * What to submit for a claimed item.
   * @throws AppError what is wrong with it, for good: reported as refused, never run. Any other error: tried again.
   */
  request(item: Item, claim: Claim, signal: AbortSignal): Promise<IngestRequest>;
  /**
   * Writes `claim.leaseUntil`, which is later than before, and how the job stands. `cancelled`: it is still ours, but to be ended;
   * its outcome is reported as any other. `lost`: somebody else has it, or it is gone; nothing is written any more.
   */
  renew(
    item: Item,
    claim: Claim,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<'kept' | 'cancelled' | 'lost'>;
  /** Writes the outcome back, which ends the claim. Never over another's; called again when it is not known to have come through. */
  report(
    item: Item,
    claim: Claim,
    outcome: Outcome,
    signal: AbortSignal,
  ): Promise<'written' | 'lost'>;
}

/** A job as it stands out there; JSON, kept with its claim. */
export interface IngestItem {
  /** Tells it from all others of its source, for as long as the source is there: `<project>/<job>`. At most 500 characters. */
  key: string;
  /** As its people call it, where that is not the key. */
  title?: string | undefined;
}

/** This server's hold on one item. */
export interface Claim {
  /** Who claims; see `JR_WORKER_ID`. */
  worker: string;
  /** Random, new for each claim: two workers of one name, or one worker twice, are told apart by it. */
  nonce: string;
  /** Milliseconds since 1970. */
  leaseUntil: number;
}

/** Both null until the job is written down here. */
export interface Progress {
  jobId: JobId | null;
  state: JobState | null;
}

/** What a scan says beside its items. */
export interface ScanNotes {
  /** @param where the project, file or job that it is about, as its people call it */
  problem(where: string, message: string): void;
  /** The item of that key was called off: if it is ours, its job is ended, and reported so. */
  cancelled(key: string): void;
}

export interface IngestRequest {
  fields: SubmitFields;
  script?: ScriptFile | undefined;
  /** Digest of a file that the job runs where it lies. */
  contentHash?: string | undefined;
}
