import { OWNER } from '../auth/caller.js';
import type { Database } from '../db/database.js';
import { AppError, fieldError } from '../errors.js';
import { experimentOf } from '../outputs/experiment.js';
import type { TemplateLibrary } from './templates/library.js';
import type { Submitter } from './submission.js';
import type { Job, JobId, JobRequest } from './job.js';
import { requestHashOf } from './job-hashes.js';
import type { JobFolders } from './job-folders.js';
import type { LiveJobs } from './live-jobs.js';
import { fieldsOf } from './normalize.js';
import type { Target, Targets } from './placement/target.js';
import type { JobPlan, JobPlanner, SubmitOptions } from './plan.js';
import { sshJobSpec } from './remote-job-spec.js';
import { changed, type Changes, type SubmitFields } from './request.js';
import { sentScript, withoutHost } from './script/sent-script.js';
import * as store from './store.js';
import type { JobEndings } from './job-endings.js';
import type { Tracker } from './tracker.js';

export interface JobServiceParts {
  db: Database;
  liveJobs: LiveJobs;
  templates: TemplateLibrary;
  planner: JobPlanner;
  folders: JobFolders;
  submitter: Submitter;
  tracker: Tracker;
  endings: JobEndings;
  targets: Targets;
  /** Variables of every job. */
  commonEnv: Record<string, string>;
  /**
   * Checks the user's limits.
   * @param bytes that the job takes on the disk at once
   * @throws AppError limit_reached; quota_exceeded; disk_full; unprocessable for more GPUs than the
   *   user may have at once
   */
  checkUserLimits: (user: string, request: JobRequest, target: Target, bytes: number) => void;
  /** Measures what the user's jobs keep on the disk, if a limit depends on it. */
  measureStorage: (user: string) => Promise<void>;
  now: () => number;
}

export type Submitted =
  | { kind: 'created'; job: Job }
  /** Slurm did not answer; the stored job is submitted when it does. */
  | { kind: 'waiting'; job: Job }
  /** A job with the same idempotency key, or one that does the same, exists already. */
  | { kind: 'repeated'; job: Job }
  | { kind: 'dry_run'; script: string; request: JobRequest };

/** Job operations; the API and every ingest source submit through {@link JobService.submit}. */
export class JobService {
  readonly #parts: JobServiceParts;

  constructor(parts: JobServiceParts) {
    this.#parts = parts;
  }

  /**
   * Checks a job, stores it, and hands it to Slurm.
   * @throws AppError bad_request, not_found (template, dataset), dataset_corrupt, unprocessable
   *   (more than the node has), conflict (idempotency key of another request), slurm_refused (in
   *   Slurm's words; the job is kept as REJECTED), limit_reached, quota_exceeded, disk_full.
   */
  async submit(fields: SubmitFields, options: SubmitOptions): Promise<Submitted> {
    const requestHash = requestHashOf(fields, options.script);
    // Check the key first: the template or dataset may have changed since the original request.
    const before = this.#findRepeated(options, requestHash);
    if (before) return before;
    await this.#parts.measureStorage(options.user);
    const template = await this.#parts.templates.get(fields.command_key);
    // Another request with the same key may have been stored meanwhile. Nothing is awaited between
    // this check and the new row.
    const meanwhile = this.#findRepeated(options, requestHash);
    if (meanwhile) return meanwhile;

    const plan = this.#parts.planner.plan(template, fields, options);
    if (fields.dry_run) return this.#dryRun(plan);
    const duplicate = fields.dedup ? this.#findDuplicate(plan, options) : undefined;
    if (duplicate) return duplicate;
    return this.#submitToSlurm(this.#record(plan, options, requestHash));
  }

  /**
   * Submits the same request again, with `changes`, as a new job of the same user. It joins the
   * same experiment if that was named.
   */
  async rerun(id: JobId, changes: Changes): Promise<Submitted> {
    const { request, user } = this.get(id);
    if (request.script_name !== undefined)
      throw new AppError(
        'unprocessable',
        `job ${id} ran an uploaded script: submit it with its file`,
      );
    return this.submit(changed(fieldsOf(request), changes), { user });
  }

  /**
   * Finds a job.
   * @param scope the user whose jobs the caller may see; undefined for everybody's
   * @throws AppError not_found
   */
  get(id: JobId, scope?: string): Job {
    const job = store.findJob(this.#parts.db, id);
    if (job === undefined || (scope !== undefined && job.user !== scope))
      throw new AppError('not_found', `there is no job ${id}`, { details: { fields: ['id'] } });
    return job;
  }

  list(filter: store.JobFilter): Job[] {
    return store.listJobs(this.#parts.db, filter);
  }

  /** Returns the job's script, as it is on the machine that runs the job. */
  async script(id: JobId): Promise<string> {
    const job = this.get(id);
    const script = store.scriptOf(this.#parts.db, id) ?? '';
    if (!this.#parts.targets.mayBeRemote(job)) return script;
    return (await sentScript(this.#parts.folders, job)) ?? withoutHost(script);
  }

  /** Returns the job once it has ended, or as it is when `signal` fires. */
  async wait(id: JobId, signal: AbortSignal): Promise<Job> {
    this.get(id);
    await this.#parts.endings.wait(id, signal);
    return this.get(id);
  }

  /** Deletes an ended job with its outputs and log. */
  async remove(id: JobId): Promise<void> {
    const job = this.get(id);
    if (!job.terminal)
      throw new AppError('conflict', `job ${id} is ${job.state}: cancel it first`, {
        details: { state: job.state },
      });
    // Delete the row last: after a crash half-way, the job can be removed again.
    await this.#parts.folders.remove(id);
    store.deleteJob(this.#parts.db, id);
  }

  /** @throws AppError conflict when the key belongs to another request. */
  #findRepeated(options: SubmitOptions, requestHash: string): Submitted | undefined {
    const key = ownKey(options);
    const found = key === undefined ? undefined : store.findByIdempotencyKey(this.#parts.db, key);
    if (found && found.requestHash !== requestHash)
      throw fieldError(
        'conflict',
        'Idempotency-Key',
        `was used for another request, job ${found.job.job_id}; use a new one`,
        { details: { job_id: found.job.job_id } },
      );
    return found && { kind: 'repeated', job: found.job };
  }

  #findDuplicate({ dedupHash }: JobPlan, { user }: SubmitOptions): Submitted | undefined {
    const job = store.findDuplicate(this.#parts.db, user, dedupHash);
    return job && { kind: 'repeated', job };
  }

  #dryRun(plan: JobPlan): Submitted {
    const { request } = plan;
    const script = this.#parts.planner.render(plan, {
      jobId: 0 as JobId,
      experimentId: request.experiment_id ?? experimentOf(0),
      scriptPath: request.script_name,
    });
    return { kind: 'dry_run', script, request };
  }

  /** Stores the job as SUBMITTING, with its script and folders. */
  #record(plan: JobPlan, options: SubmitOptions, requestHash: string): JobId {
    const { db, liveJobs, folders, planner, commonEnv, checkUserLimits, now } = this.#parts;
    const { request, target, unixUser, dedupHash } = plan;
    checkUserLimits(options.user, request, target, options.script?.content.length ?? 0);
    const gpus = target.chooseGpus(request, liveJobs.all());
    return db.transaction((): JobId => {
      const id = store.insertJob(db, {
        user: options.user,
        unixUser: unixUser?.name ?? null,
        request,
        gpus,
        submittedAt: now(),
        idempotencyKey: ownKey(options),
        requestHash,
        dedupHash,
      });
      const scriptPath = folders.make(id, options.script, target.folderOwner, unixUser?.gid);
      const experimentId = request.experiment_id ?? experimentOf(id);
      const script = planner.render(plan, { jobId: id, experimentId, scriptPath });
      store.completeJob(db, id, experimentId, script);
      if (target.mayBeRemote)
        folders.writeSshJobSpec(
          sshJobSpec(this.get(id), { ...plan, scriptPath, commonEnv }, folders.of(id)),
        );
      options.alongside?.(id);
      return id;
    })();
  }

  /** @throws AppError slurm_refused, in Slurm's words; the job is kept as REJECTED. */
  async #submitToSlurm(id: JobId): Promise<Submitted> {
    const { submitter, tracker } = this.#parts;
    await submitter.submit(id);
    const job = this.get(id);
    tracker.poke();
    if (job.state === 'REJECTED')
      throw new AppError('slurm_refused', `Slurm refused the job: ${job.message ?? ''}`, {
        details: { job_id: id },
      });
    return { kind: job.state === 'SUBMITTING' ? 'waiting' : 'created', job };
  }
}

/** Keeps users' keys apart: two may choose the same. A user's key holds no control character. */
function ownKey({ user, idempotencyKey: key }: SubmitOptions): string | undefined {
  return key === undefined || user === OWNER ? key : `${user}\x1f${key}`;
}
