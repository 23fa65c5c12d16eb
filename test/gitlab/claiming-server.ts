import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { openDatabase, type Database } from '../../src/db/database.js';
import { AppError } from '../../src/errors.js';
import { countClaims, liveClaims, type ClaimRow } from '../../src/ingest/claims.js';
import { ExpiredLeases } from '../../src/ingest/expired-leases.js';
import { GitLabClient } from '../../src/ingest/gitlab/client.js';
import { GitLabSource } from '../../src/ingest/gitlab/source.js';
import { neverRun } from '../../src/ingest/outcome.js';
import { Pauses } from '../../src/ingest/pauses.js';
import { IngestLoop } from '../../src/ingest/ingest-loop.js';
import type { Job, JobId } from '../../src/jobs/job.js';
import type { SubmitFields } from '../../src/jobs/request.js';
import type { SubmitOptions } from '../../src/jobs/plan.js';
import type { Submitted } from '../../src/jobs/service.js';
import { FakeClock } from './fake-clock.js';
import type { GitLabStandIn } from './stand-in.js';

interface RanJob {
  name: string;
  key: string | undefined;
  state: 'RUNNING' | 'COMPLETED' | 'CANCELLED';
  end: () => void;
  ended: Promise<void>;
}

/**
 * A server that only claims: the real loop, source and database, without Slurm. So several servers
 * fit in one test, and submitting can fail on demand. Its jobs end at once, or wait for the test.
 */
export class ClaimingServer {
  readonly #gitlab: GitLabStandIn;
  readonly #settings: { leaseMs?: number; maxJobs?: number; keepRunning?: boolean };

  readonly folder = mkdtempSync(join(tmpdir(), 'jr-claims-'));
  readonly db: Database;
  readonly jobs: RanJob[] = [];
  /** Errors that the next submissions throw instead of accepting the job. */
  readonly refusals: Error[] = [];
  loop: IngestLoop<never> | undefined;

  constructor(
    readonly worker: string,
    gitlab: GitLabStandIn,
    settings: { leaseMs?: number; maxJobs?: number; keepRunning?: boolean } = {},
  ) {
    this.#gitlab = gitlab;
    this.#settings = settings;

    this.db = openDatabase(join(this.folder, 'test.db'));
    this.mapTypes('training: shell\n');
  }

  /** Writes the file that maps job types to command keys. */
  mapTypes(text: string): void {
    writeFileSync(join(this.folder, 'types.yaml'), text);
  }

  /** Starts the server, or restarts it with its earlier claims. */
  start(): void {
    const { leaseMs = 60_000, maxJobs = 4 } = this.#settings;
    const { url, token } = this.#gitlab;
    const onRetry = (why: string) => source.retrying(why);
    const client = new GitLabClient({ url, token, clock: new FakeClock(), maxRetries: 3, onRetry });
    const now = Date.now;
    const source = new GitLabSource({
      client,
      expired: new ExpiredLeases(leaseMs, now),
      jobTypesFile: join(this.folder, 'types.yaml'),
      commandKeys: () => Promise.resolve(['shell']),
      projects: [],
      now,
    });
    const loop = new IngestLoop({
      source,
      db: this.db,
      jobs: {
        submit: (fields, options) => this.#submit(fields, options),
        wait: async (id, signal) => {
          await Promise.race([this.#job(id).ended, aborted(signal)]);
          return this.#view(id);
        },
        get: (id) => this.#view(id),
      },
      control: {
        cancel: (id) => {
          this.#job(id).state = 'CANCELLED';
          this.#job(id).end();
          return Promise.resolve(this.#view(id));
        },
      },
      outcomeOf: (id) =>
        Promise.resolve({ ...neverRun(false, ''), jobId: id, status: this.#job(id).state }),
      owner: 'ingest:gitlab',
      worker: this.worker,
      leaseMs,
      pauses: new Pauses(this.db, now),
      seconds: 1,
      maxJobs,
      findJob: (id) => this.#view(id as JobId),
      now,
      log: pino({ level: 'silent' }),
    });
    this.loop = loop as unknown as IngestLoop<never>;
    loop.start();
  }

  /** Stops like a crash: nothing more is written to GitLab or to the database. */
  async stop(): Promise<void> {
    await this.loop?.close();
    this.loop = undefined;
  }

  async remove(): Promise<void> {
    await this.stop();
    this.db.close();
    rmSync(this.folder, { recursive: true });
  }

  get counts() {
    return countClaims(this.db, 'gitlab');
  }

  get live(): ClaimRow[] {
    return liveClaims(this.db, 'gitlab');
  }

  #submit(fields: SubmitFields, options: SubmitOptions): Promise<Submitted> {
    const refusal = this.refusals.shift();
    if (refusal) return Promise.reject(refusal);
    let end = () => {};
    const ended = new Promise<void>((resolve) => (end = resolve));
    const { keepRunning = false } = this.#settings;
    const state = keepRunning ? 'RUNNING' : 'COMPLETED';
    const job: RanJob = {
      ...{ name: fields.name ?? '', key: options.idempotencyKey, state, ended },
      end: () => {
        if (job.state === 'RUNNING') job.state = 'COMPLETED';
        end();
      },
    };
    if (!keepRunning) end();
    const id = this.db.transaction(() => {
      const next = (this.jobs.push(job) - 1) as JobId;
      options.alongside?.(next);
      return next;
    })();
    return Promise.resolve({ kind: 'created', job: this.#view(id) });
  }

  #job(id: JobId): RanJob {
    const job = this.jobs[id];
    if (job === undefined) throw new AppError('not_found', `there is no job ${id}`);
    return job;
  }

  #view(id: JobId): Job {
    const { state } = this.#job(id);
    const terminal = state !== 'RUNNING';
    return { job_id: id, state, terminal, started_at: 1 } as Job;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
