import { randomUUID } from 'node:crypto';
import { scopeOf, type Caller } from '../auth/caller.js';
import type { Database } from '../db/database.js';
import { AppError, fieldError } from '../errors.js';
import type { JobControl } from '../jobs/control.js';
import type { Job } from '../jobs/job.js';
import type { JobFolders } from '../jobs/job-folders.js';
import { submitSchema, type ScriptFile } from '../jobs/request.js';
import type { JobService } from '../jobs/service.js';
import type { SlurmClient } from '../cluster/slurm/client.js';
import { SlurmError } from '../cluster/slurm/command.js';
import type { SlurmNode } from '../cluster/slurm/nodes.js';
import { positionAmong, type PendingJob } from '../cluster/slurm/pending.js';
import { parseTimeLimit } from '../config/time-limit.js';
import type { QueueConfig } from './config-file.js';
import { viewNodes } from './nodes.js';
import type { QueueTargets } from './targets.js';
import type { QueueNode } from './replies.js';
import { outputOf } from './results.js';
import { queueStateOf, type QueueState } from './state.js';
import * as store from './store.js';
import { viewQueueJob } from './view.js';
import { WaitingLine } from './waiting-line.js';

export interface QueueServiceParts {
  db: Database;
  jobs: JobService;
  control: Pick<JobControl, 'cancel'>;
  folders: JobFolders;
  slurm: Pick<SlurmClient, 'nodes' | 'pending'>;
  targets: QueueTargets;
  settings: { gpus: number; timeoutMultiplier: number };
  liveJobs: () => readonly Job[];
  now: () => number;
}

export interface QueueSubmission {
  code: ScriptFile;
  config: QueueConfig;
  caller: Caller;
  idempotencyKey: string | undefined;
}

/** The reader of a job: a caller, or everybody where reading is public. */
export type Asker = Caller | 'everybody';

const scopeOfAsker = (asker: Asker) => (asker === 'everybody' ? undefined : scopeOf(asker));

/** The queue server’s view of JobRunner’s jobs, with other ids and names. */
export class QueueService {
  readonly #parts: QueueServiceParts;

  readonly #line: WaitingLine;

  constructor(parts: QueueServiceParts) {
    this.#parts = parts;

    this.#line = new WaitingLine(parts.slurm);
  }

  /**
   * Submits a job.
   * @throws AppError forbidden (another user’s user_id), unprocessable (expected_time), and as
   *   `jobs.submit` does
   */
  async submit({ code, config, caller, idempotencyKey }: QueueSubmission) {
    const { db, jobs, settings, targets } = this.#parts;
    const { user_id: user, expected_time: expected, competition_id, project_id } = config;
    if (caller.role === 'reader')
      throw fieldError('forbidden', 'token', 'a reader’s token cannot submit jobs; use another');
    if (caller.role !== 'admin' && caller.user !== user)
      throw fieldError(
        'forbidden',
        'user_id',
        `the token belongs to ${caller.user}, not to this user`,
      );
    const timeout = Math.max(0.1, expected * settings.timeoutMultiplier);
    const longest = parseTimeLimit(targets.maxTime());
    if (timeout > (typeof longest === 'number' ? longest : 1e9))
      throw fieldError(
        'unprocessable',
        'expected_time',
        `${expected} s, of which ${settings.timeoutMultiplier} times are allowed, is longer than a job may run here (${targets.maxTime()})`,
      );
    const fields = submitSchema.parse({
      command_key: 'python_script',
      name: code.name,
      timeout,
      split_log: true,
      ...targets.share(settings.gpus),
    });
    const submitted = await jobs.submit(fields, {
      user,
      script: code,
      idempotencyKey,
      alongside: (id) =>
        store.insertRow(db, {
          uuid: randomUUID(),
          job_id: id,
          competition_id,
          project_id,
          expected_time: expected,
        }),
    });
    if (submitted.kind === 'dry_run') throw new Error('unexpected dry run');
    const row = store.findByJob(db, submitted.job.job_id);
    if (row === undefined)
      throw fieldError(
        'conflict',
        'Idempotency-Key',
        'already used for a job of POST /jobs; use a new one',
      );
    return { job: submitted.job, view: await this.#view(row, submitted.job) };
  }

  /** Reads a job. @throws AppError not_found, also for another user’s job */
  async status(uuid: string, asker: Asker) {
    const { row, job } = this.#find(uuid, asker);
    return this.#view(row, job);
  }

  /** @throws AppError not_found */
  async results(uuid: string, asker: Asker) {
    const { row, job } = this.#find(uuid, asker);
    const output = await outputOf(this.#parts.folders, job);
    return { ...(await this.#view(row, job)), ...output };
  }

  /**
   * Cancels a job and returns it once it has ended. A cancelled job stays unchanged.
   * @param signal ends the wait
   * @throws AppError not_found; forbidden; conflict when the job has already ended by itself
   */
  async cancel(uuid: string, caller: Caller, signal: AbortSignal) {
    const { jobs, control } = this.#parts;
    const { row, job } = this.#find(uuid, caller);
    if (caller.role === 'reader')
      throw new AppError('forbidden', 'a reader’s token cannot cancel jobs; use another');
    if (queueStateOf(job) !== 'cancelled') {
      if (job.terminal)
        throw fieldError('conflict', 'job_id', `${uuid} has already ended: ${queueStateOf(job)}`, {
          details: { state: queueStateOf(job) },
        });
      await control.cancel(job.job_id);
    }
    return { job, view: await this.#view(row, await jobs.wait(job.job_id, signal)) };
  }

  async list(
    filter: { user?: string | undefined; status?: QueueState | undefined; limit: number },
    asker: Asker,
  ) {
    const { db, jobs } = this.#parts;
    const scope = scopeOfAsker(asker);
    const nobodys = scope !== undefined && filter.user !== undefined && filter.user !== scope;
    if (nobodys) return [];
    const found = store
      .listRows(db, { ...filter, user: filter.user ?? scope })
      .map((row) => ({ row, job: jobs.get(row.job_id) }));
    const pending = found.some(({ job }) => queueStateOf(job) === 'pending')
      ? await this.#line.now()
      : [];
    return found.map(({ row, job }) => this.#viewAmong(row, job, pending));
  }

  async nodes(): Promise<QueueNode[]> {
    const { db, targets, liveJobs, now, slurm } = this.#parts;
    let nodes: SlurmNode[] = [];
    try {
      nodes = await slurm.nodes();
    } catch (error) {
      // Each node's status is then "unknown".
      if (!(error instanceof SlurmError)) throw error;
    }
    const partitionOf = (job: Job) => targets.partitionOf(job);
    const facts = { live: liveJobs(), expected: store.expectedTimes(db), now: now(), partitionOf };
    return viewNodes(targets.nodeNames(), nodes, facts);
  }

  #find(uuid: string, asker: Asker) {
    const row = store.findByUuid(this.#parts.db, uuid);
    const scope = scopeOfAsker(asker);
    const job = row && this.#parts.jobs.get(row.job_id);
    if (row === undefined || job === undefined || (scope !== undefined && job.user !== scope))
      throw fieldError('not_found', 'job_id', `no job ${uuid}`);
    return { row, job };
  }

  async #view(row: store.QueueRow, job: Job) {
    const waits = queueStateOf(job) === 'pending';
    return this.#viewAmong(row, job, waits ? await this.#line.now() : []);
  }

  /** @param pending the waiting jobs; undefined when they are unknown */
  #viewAmong(row: store.QueueRow, job: Job, pending: PendingJob[] | undefined) {
    const state = queueStateOf(job);
    const partition = this.#parts.targets.partitionOf(job);
    const positionInSlurm = () =>
      pending === undefined || partition === undefined
        ? null
        : positionAmong(pending, job.slurm_job_id, partition);
    const position = state === 'pending' ? positionInSlurm() : state === 'running' ? 0 : null;
    return viewQueueJob(row, job, position, this.#nodeOf(job));
  }

  /**
   * Returns the number of the job’s node, past, present or certain future; null while it is
   * unknown.
   */
  #nodeOf(job: Job): number | null {
    const { targets } = this.#parts;
    const names = targets.nodeNames();
    const name = job.node_list ?? (job.terminal ? null : targets.onlyNodeOf(job));
    const id = names.indexOf(name ?? '');
    return id === -1 ? null : id;
  }
}
