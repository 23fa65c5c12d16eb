import type { z } from 'zod';
import type { Job } from '../jobs/job.js';
import * as claims from './claims.js';
import { ClaimRunner, type ClaimRunnerParts } from './claim-runner.js';
import type { Pauses } from './pauses.js';
import type { IngestSourceStatus } from './source-status.js';
import type { IngestItem } from './source.js';
import { ScanIssues } from './scan-issues.js';
import type { RunningSource } from './running-sources.js';
import { sleep } from '../every.js';

/** Maximum of found items that wait for a free slot; the next scan finds the others again. */
const maxWaiting = 1000;
const maxKeyLength = 500;
/** Time for which finished claims are kept. */
const rememberMs = 90 * 24 * 3600_000;

export interface IngestLoopParts<Item extends IngestItem> extends Omit<
  ClaimRunnerParts<Item>,
  'failed' | 'freed'
> {
  worker: string;
  pauses: Pauses;
  /** Seconds between the starts of two scans. */
  seconds: number;
  /** Maximum of claimed jobs of this source that have not ended. */
  maxJobs: number;
  findJob: (id: number) => Pick<Job, 'started_at' | 'terminal'> | undefined;
}

/**
 * The loop of one ingest source: it scans, claims jobs while this server has room, and runs each
 * claim until its outcome is reported. While paused it makes no new claims; existing claims
 * continue.
 */
export class IngestLoop<Item extends IngestItem> implements RunningSource {
  readonly name: string;
  readonly #parts: IngestLoopParts<Item>;
  readonly #keeping: ClaimRunnerParts<Item>;
  readonly #issues: ScanIssues;
  readonly #closing = new AbortController();
  readonly #runners = new Map<string, { runner: ClaimRunner<Item>; done: Promise<void> }>();
  #waiting = new Map<string, Item>();
  #loop: Promise<void> | undefined;
  #last: { at: number; ms: number; found: number } | undefined;
  #lastError: { at: number; message: string } | undefined;
  /** The failure that the present scan retries; many retries may pass before the scan fails. */
  #retrying: { at: number; message: string } | undefined;

  constructor(parts: IngestLoopParts<Item>) {
    this.name = parts.source.name;
    this.#parts = parts;
    this.#issues = new ScanIssues(this.name, parts.now, parts.log);
    this.#keeping = {
      ...parts,
      failed: (where, error) => this.#issues.failed(where, error),
      freed: this.#refill,
    };
  }

  /** Continues the claims that an earlier process left, and starts scanning. */
  start(): void {
    const { db, source, log } = this.#parts;
    for (const row of claims.liveClaims(db, this.name)) {
      const item = readItem(source.itemSchema, row.data);
      if (item) this.#keep(item, row, false);
      else log.error({ source: this.name, item: row.item }, 'ingest: a claim cannot be read');
    }
    this.#loop = this.#run();
  }

  /** Stops the work in progress; the next start continues it. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
    await Promise.all([...this.#runners.values()].map(({ done }) => done));
  }

  pause(by: string): void {
    this.#parts.pauses.pause(this.name, by);
  }

  resume(): void {
    this.#parts.pauses.resume(this.name);
    this.#fill();
  }

  /** Reports the status; times are milliseconds since 1970. */
  status(): IngestSourceStatus {
    const { db, seconds, maxJobs, worker, findJob } = this.#parts;
    const counts = claims.countClaims(db, this.name);
    const live = claims.liveClaims(db, this.name);
    const running = live.filter(({ job_id: id }) => {
      const job = id === null ? undefined : findJob(id);
      return job !== undefined && !job.terminal && job.started_at !== null;
    }).length;
    return {
      name: this.name,
      worker,
      paused: this.#parts.pauses.of(this.name) ?? null,
      interval_seconds: seconds,
      max_jobs: maxJobs,
      last_scan: this.#last?.at ?? null,
      last_scan_seconds: this.#last === undefined ? null : this.#last.ms / 1000,
      last_error: this.#retrying ?? this.#lastError ?? null,
      errors: this.#issues.errors,
      error_count: this.#issues.total,
      problems: this.#issues.problems,
      problem_count: this.#issues.problemCount,
      found: this.#last?.found ?? 0,
      claimed: live.length - running,
      running,
      done: counts.done,
      failed: counts.failed,
      lost: counts.lost,
    };
  }

  async #run(): Promise<void> {
    const { seconds, now, log } = this.#parts;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const from = now();
      try {
        await this.#scan();
        this.#retrying = undefined;
      } catch (error) {
        if (signal.aborted) return;
        this.#retrying = undefined;
        log.debug({ err: error, source: this.name }, 'ingest: the scan failed');
        this.#issues.failed(null, error);
        this.#lastError = { at: now(), message: this.#issues.errors[0]?.message ?? '' };
      }
      const waitMs = Math.max(0, from + seconds * 1000 - now());
      await sleep(waitMs, signal);
    }
  }

  async #scan(): Promise<void> {
    const { source, now, db } = this.#parts;
    const from = now();
    claims.forgetFinished(db, this.name, from - rememberMs);
    this.#issues.beginScan();
    const waiting = new Map<string, Item>();
    let found = 0;
    const notes = {
      problem: (where: string, message: string) => this.#issues.problem(where, message),
      retrying: (message: string) => {
        // One entry a scan: each of its requests is retried several times.
        if (this.#retrying === undefined) this.#issues.failed(null, message);
        const [first] = this.#issues.errors;
        this.#retrying ??= first && { at: first.at, message: first.message };
      },
      cancelled: (key: string) => this.#runners.get(key)?.runner.cancel(),
    };
    for await (const item of source.scan(notes, this.#closing.signal)) {
      found += 1;
      if (item.key.length > maxKeyLength) notes.problem(item.key, 'the key is too long');
      else if (waiting.size < maxWaiting) {
        waiting.set(item.key, item);
        this.#waiting.set(item.key, item);
        this.#fill();
      }
    }
    this.#waiting = new Map([...waiting].filter(([key]) => this.#waiting.has(key)));
    this.#issues.endScan();
    this.#last = { at: from, ms: now() - from, found };
  }

  /** Claims waiting items while there is room. */
  #fill(): void {
    const { db, maxJobs, worker, leaseMs, now } = this.#parts;
    for (const [key, item] of this.#waiting) {
      if (this.#closing.signal.aborted || this.#parts.pauses.of(this.name)) return;
      if (claims.countBusy(db, this.name) >= maxJobs) return;
      this.#waiting.delete(key);
      if (this.#runners.has(key) || claims.findLiveClaim(db, this.name, key)) continue;
      const row = claims.beginClaim(
        db,
        {
          source: this.name,
          item: key,
          worker,
          lease_until: now() + leaseMs,
          data: JSON.stringify(item),
        },
        now(),
      );
      this.#keep(item, row, true);
    }
  }

  /** Calls {@link #fill} and records its failure: the next scan finds the same items again. */
  readonly #refill = (): void => {
    try {
      this.#fill();
    } catch (error) {
      this.#issues.failed(null, error);
    }
  };

  #keep(item: Item, row: claims.ClaimRow, isNew: boolean): void {
    const { signal } = this.#closing;
    const runner = new ClaimRunner(this.#keeping, item, row, isNew);
    const done = runner
      .run(signal)
      .catch((error: unknown) => {
        if (!signal.aborted) this.#issues.failed(row.item, error);
      })
      .finally(() => {
        this.#runners.delete(row.item);
        this.#refill();
      });
    this.#runners.set(row.item, { runner, done });
  }
}

function readItem<Item>(schema: z.ZodType<Item>, data: string): Item | undefined {
  const parsed = schema.safeParse(JSON.parse(data));
  return parsed.success ? parsed.data : undefined;
}
