import { AppError } from '../../errors.js';
import { KeyLock } from '../../key-lock.js';
import type { Outcome } from '../outcome.js';
import type { Claim, IngestRequest, IngestSource, Progress, ScanNotes } from '../source.js';
import {
  GitLabConnectionError,
  GitLabError,
  GitLabFileChangedError,
  GitLabFileExistsError,
} from './errors.js';
import { gitLabItemSchema, type GitLabItem } from './item.js';
import { JobScan, type JobScanParts } from './job-scan.js';
import { responsePath } from './manifest.js';
import { readResponseFile } from './response-file.js';
import { claimedResponse, reportedResponse } from './response.js';
import { submitFieldsOf } from './submit-fields.js';
import { isoTime } from '../../iso-time.js';

export interface GitLabSourceParts extends Omit<JobScanParts, 'isOurs'> {
  now: () => number;
}

const untouched: Progress = { jobId: null, state: null };

/**
 * Jobs in the manifests of GitLab projects as an ingest source. A server claims a job by creating
 * its `response.yaml`, which only one can. Every later change is conditional on the file being
 * unchanged. The commits start no pipeline.
 */
export class GitLabSource implements IngestSource<GitLabItem> {
  readonly #parts: GitLabSourceParts;

  readonly name = 'gitlab';
  readonly itemSchema = gitLabItemSchema;
  readonly #scan: JobScan;
  /** Claims of this server, with their times in ISO 8601. */
  readonly #ours = new Map<string, string>();
  /**
   * Makes the commits of one project one after another: GitLab refuses a commit that another
   * overtakes.
   */
  readonly #writes = new KeyLock<number>();
  #notes: ScanNotes | undefined;

  constructor(parts: GitLabSourceParts) {
    this.#parts = parts;

    this.#scan = new JobScan({ ...parts, isOurs: (key) => this.#ours.has(key) });
  }

  scan(notes: ScanNotes, signal: AbortSignal): AsyncIterable<GitLabItem> {
    this.#notes = notes;
    return this.#scan.run(notes, signal);
  }

  /** Shows a failed request at once; the client retries it for minutes. */
  retrying(why: string): void {
    this.#notes?.retrying(why);
  }

  async claim(item: GitLabItem, claim: Claim, signal: AbortSignal): Promise<'won' | 'lost'> {
    const at = isoTime(this.#parts.now());
    const content = claimedResponse(item.jobId, claim, untouched, at);
    try {
      if (item.expired) await this.#takeOver(item, claim, content, signal);
      else {
        await this.#create(item, content, signal);
        return this.#won(item, at);
      }
    } catch (error) {
      if (signal.aborted || !(error instanceof GitLabError)) throw error;
      if (error instanceof GitLabConnectionError) throw error;
      const isRefused =
        !(error instanceof GitLabFileExistsError) && !(error instanceof GitLabFileChangedError);
      if (isRefused)
        throw new AppError('forbidden', `cannot be claimed: ${error.message}`, { cause: error });
    }
    // GitLab may report success to two simultaneous updates; only the file tells who won.
    const there = await this.#read(item, signal);
    return there?.claim?.nonce === claim.nonce ? this.#won(item, at) : this.#lost(item);
  }

  async request(item: GitLabItem): Promise<IngestRequest> {
    return { fields: submitFieldsOf(item, await this.#scan.jobTypes()) };
  }

  async renew(
    item: GitLabItem,
    claim: Claim,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<'kept' | 'lost'> {
    const there = await this.#read(item, signal);
    if (there?.claim?.nonce !== claim.nonce) return this.#lost(item);
    // The outcome is already reported.
    if (there.claim.leaseUntil === undefined) return 'kept';
    const at = there.claim.claimedAt ?? isoTime(this.#parts.now());
    this.#ours.set(item.key, at);
    const content = claimedResponse(item.jobId, claim, progress, at);
    await this.#update(item, content, `Renew GPU job ${item.jobId}`, there.lastCommitId, signal);
    return 'kept';
  }

  async report(
    item: GitLabItem,
    claim: Claim,
    outcome: Outcome,
    signal: AbortSignal,
  ): Promise<'written' | 'lost'> {
    const there = await this.#read(item, signal);
    if (there?.claim?.nonce !== claim.nonce) return this.#lost(item);
    // A response without a lease already contains the outcome.
    if (there.claim.leaseUntil !== undefined) {
      const content = reportedResponse(item.jobId, claim, outcome, {
        claimedAt: there.claim.claimedAt,
        reportedAt: this.#parts.now(),
      });
      const message = `Report GPU job ${item.jobId}: ${outcome.status}`;
      await this.#update(item, content, message, there.lastCommitId, signal);
    }
    this.#ours.delete(item.key);
    return 'written';
  }

  #won(item: GitLabItem, at: string): 'won' {
    this.#ours.set(item.key, at);
    return 'won';
  }

  #lost(item: GitLabItem): 'lost' {
    this.#ours.delete(item.key);
    return 'lost';
  }

  async #create(item: GitLabItem, content: string, signal: AbortSignal): Promise<void> {
    const file = this.#file(item, content, `Claim GPU job ${item.jobId}`);
    await this.#writes.hold(item.projectId, () =>
      this.#parts.client.createFile(item.projectId, file, {}, signal),
    );
  }

  /** Takes over the expired claim, and overwrites no other. */
  async #takeOver(
    item: GitLabItem,
    claim: Claim,
    content: string,
    signal: AbortSignal,
  ): Promise<void> {
    const there = await this.#read(item, signal);
    const { nonce, leaseUntil } = there?.claim ?? {};
    if (there === undefined || nonce === claim.nonce) return;
    if (nonce !== item.expired?.nonce || leaseUntil !== item.expired?.leaseUntil) return;
    const message = `Take over GPU job ${item.jobId}`;
    await this.#update(item, content, message, there.lastCommitId, signal);
  }

  async #update(
    item: GitLabItem,
    content: string,
    message: string,
    lastCommitId: string,
    signal: AbortSignal,
  ): Promise<void> {
    const file = this.#file(item, content, message);
    await this.#writes.hold(item.projectId, () =>
      this.#parts.client.updateFile(item.projectId, file, lastCommitId, signal),
    );
  }

  #file({ jobId, branch }: GitLabItem, content: string, message: string) {
    // GitLab starts no pipeline for such a commit (docs.gitlab.com/ci/pipelines, “Skip a
    // pipeline”).
    return { path: responsePath(jobId), branch, content, message: `${message} [skip ci]` };
  }

  #read(item: GitLabItem, signal: AbortSignal) {
    return readResponseFile(this.#parts.client, item, item.branch, signal);
  }
}
