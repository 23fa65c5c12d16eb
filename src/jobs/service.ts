import { join } from 'node:path';
import { BOX_OWNER } from '../auth/caller.js';
import type { Sha256 } from '../datasets/digest.js';
import type { Database } from '../db/database.js';
import { AppError } from '../errors.js';
import { chooseGres, type GpuFleet } from '../cluster/gpus/choose.js';
import type { ModelNeeds } from '../cluster/gpus/models.js';
import type { TemplateLibrary } from './templates/library.js';
import type { Submitter } from './submission.js';
import type { Job, JobId, JobRequest } from './job.js';
import { dedupHashOf, requestHashOf } from './job-hashes.js';
import type { JobFolders } from './job-folders.js';
import type { JobUsers } from './job-users.js';
import { checkTemplateInputs, fieldsOf, normalize } from './normalize.js';
import type { Targets } from './placement/target.js';
import { remoteJobSpec } from './remote-job-spec.js';
import type { ScriptFile, SubmitFields } from './request.js';
import { renderScript } from './script/script.js';
import type { ExternalScript } from './script/parts.js';
import { sentScript, withoutHost } from './script/sent-script.js';
import * as store from './store.js';
import type { Tracker } from './tracker.js';

export interface JobServiceParts {
  db: Database;
  templates: TemplateLibrary;
  datasets: { forJob(sha: Sha256): { treeDir: string; originalPath: string } };
  folders: JobFolders;
  submitter: Submitter;
  tracker: Tracker;
  targets: Targets;
  /** The Unix users that jobs run as; undefined on an external cluster. */
  users: JobUsers | undefined;
  /** Where GNU screen keeps its sockets, in a folder for each Unix user. */
  screenDir: string;
  /** What workers keep of their GPUs for scripts; undefined where none may join. */
  nodeFile: string | undefined;
  /** What scripts are told that run on an external cluster's nodes; undefined in a cluster of our own. */
  external?: ExternalScript | undefined;
  models: ModelNeeds;
  /** Whether no job is to start on that GPU now. */
  isClosed: (gpuIndex: number) => boolean;
  /** @throws AppError limit_reached; unprocessable for more GPUs than the user may have at once */
  demandRoomForJob: (user: string, request: JobRequest, fleet: GpuFleet) => void;
  now: () => number;
}

export interface SubmitOptions {
  /** Whose the job is. */
  user: string;
  script?: ScriptFile | undefined;
  idempotencyKey?: string | undefined;
  /** Digest of a file that the job runs where it lies, so that a changed one is another job to `dedup`. */
  contentHash?: string | undefined;
  /** Runs in the transaction that writes a new job down. */
  alongside?: ((id: JobId) => void) | undefined;
}

export type Submitted =
  | { kind: 'created'; job: Job }
  /** Slurm could not be asked; the job is written down and follows when it can. */
  | { kind: 'waiting'; job: Job }
  /** The idempotency key's job, or one that would do the same, was there already. */
  | { kind: 'repeated'; job: Job }
  | { kind: 'dry_run'; script: string; request: JobRequest };

/** Jobs: every way in ends in {@link JobService.submit}. */
export class JobService {
  constructor(private readonly parts: JobServiceParts) {}

  /**
   * Checks a job, writes it down, and hands it to Slurm.
   * @throws AppError bad_request, not_found (template, dataset), dataset_corrupt, unprocessable (more than the node has),
   *   conflict (idempotency key of another request), slurm_refused (Slurm's words; the job is kept as REJECTED), disk_full.
   */
  async submit(fields: SubmitFields, options: SubmitOptions): Promise<Submitted> {
    const requestHash = requestHashOf(fields, options.script);
    // Before all that may have changed, or gone, since the job was written down.
    const before = this.findRepeated(options, requestHash);
    if (before) return before;
    const template = await this.parts.templates.get(fields.command_key);
    // Nothing is awaited between this and the new row.
    const meanwhile = this.findRepeated(options, requestHash);
    if (meanwhile) return meanwhile;
    checkTemplateInputs(template, fields, options.script);
    const { targets, models } = this.parts;
    const anyPlace = targets.forPartition(fields.partition);
    const context = { models, isExternal: this.parts.external !== undefined };
    const asked = normalize(template, fields, anyPlace, context, options.script);
    anyPlace.refuse(asked);
    const request = targets.resolvePartition(asked);
    const place = targets.forPartition(request.partition);
    const fleet = place.fleetFor(request);
    const scriptFleet = place.scriptFleet ?? fleet;
    const dataset = request.dataset_sha && this.parts.datasets.forJob(request.dataset_sha);

    const dedupHash = dedupHashOf(asked, options.script, options.contentHash);
    const duplicate = fields.dedup
      ? store.findDuplicate(this.parts.db, options.user, dedupHash)
      : undefined;
    if (duplicate && !fields.dry_run) return { kind: 'repeated', job: duplicate };

    const unixUser = this.parts.users?.of(options.user);
    const render = (id: JobId, experimentId: string, scriptPath: string | undefined) => {
      const { outputDir, logDir } = this.parts.folders.of(id);
      const job = { jobId: id, experimentId, request, template, dataset: dataset || undefined };
      const { screenDir, nodeFile, external } = this.parts;
      return renderScript({
        ...job,
        outputDir,
        logDir,
        scriptPath,
        screenDir: join(screenDir, unixUser?.name ?? ''),
        account: unixUser && { user: unixUser.name, home: unixUser.home, environment: {} },
        fleet: scriptFleet,
        nodeFile,
        external,
      });
    };
    if (fields.dry_run) {
      const script = render(0 as JobId, request.experiment_id ?? 'job-0', options.script?.name);
      return { kind: 'dry_run', script, request };
    }

    this.parts.demandRoomForJob(options.user, request, fleet);
    const { db, folders, now } = this.parts;
    const id = db.transaction((): JobId => {
      const jobId = store.insertJob(db, {
        user: options.user,
        unixUser: unixUser?.name ?? null,
        request,
        gres: place.gresFor
          ? place.gresFor(request)
          : chooseGres(
              request,
              fleet,
              store.gpuClaims(db, (job) => place.isRival(job)),
              place.isHere ? this.parts.isClosed : () => false,
            ),
        submittedAt: now(),
        idempotencyKey: ownKey(options),
        requestHash,
        dedupHash,
      });
      const scriptPath = folders.make(jobId, options.script, place.folderOwner, unixUser?.gid);
      const experimentId = request.experiment_id ?? `job-${jobId}`;
      store.completeJob(db, jobId, experimentId, render(jobId, experimentId, scriptPath));
      if (place.mayBeRemote) {
        const parts = { template, dataset: dataset || undefined, scriptPath };
        folders.writeRemoteSpec(remoteJobSpec(this.get(jobId), parts, folders.of(jobId)));
      }
      options.alongside?.(jobId);
      return jobId;
    })();

    await this.parts.submitter.submit(id);
    const job = this.get(id);
    this.parts.tracker.poke();
    if (job.state === 'REJECTED')
      throw new AppError('slurm_refused', `Slurm refused the job: ${job.message ?? ''}`, {
        details: { job_id: id },
      });
    return { kind: job.state === 'SUBMITTING' ? 'waiting' : 'created', job };
  }

  /** Submits the same request again, as a new job of the same experiment if that was named. */
  async rerun(id: JobId): Promise<Submitted> {
    const { request, user } = this.get(id);
    if (request.script_name !== undefined)
      throw new AppError(
        'unprocessable',
        `job ${id} ran an uploaded script: submit it with its file`,
      );
    return this.submit(fieldsOf(request), { user });
  }

  /**
   * @param scope whose jobs are there for the caller; undefined for everybody's
   * @throws AppError not_found.
   */
  get(id: JobId, scope?: string): Job {
    const job = store.findJob(this.parts.db, id);
    if (job === undefined || (scope !== undefined && job.user !== scope))
      throw new AppError('not_found', `there is no job ${id}`);
    return job;
  }

  list(filter: store.JobFilter): Job[] {
    return store.listJobs(this.parts.db, filter);
  }

  /** The job's script, as the machine has it that runs it. */
  async script(id: JobId): Promise<string> {
    const job = this.get(id);
    const script = store.scriptOf(this.parts.db, id) ?? '';
    if (!this.parts.targets.mayBeRemote(job)) return script;
    return (await sentScript(this.parts.folders, job)) ?? withoutHost(script);
  }

  /** The job once it has ended, or as it is when `signal` fires. */
  async wait(id: JobId, signal: AbortSignal): Promise<Job> {
    this.get(id);
    await this.parts.tracker.ended(id, signal);
    return this.get(id);
  }

  /** Forgets an ended job with its outputs and log. */
  async remove(id: JobId): Promise<void> {
    const job = this.get(id);
    if (!job.terminal) throw new AppError('conflict', `job ${id} is ${job.state}: cancel it first`);
    // The row goes last: cut off half-way, the job is still there to be removed again.
    await this.parts.folders.remove(id);
    store.deleteJob(this.parts.db, id);
  }

  /** @throws AppError conflict when the key is another request's. */
  private findRepeated(options: SubmitOptions, requestHash: string): Submitted | undefined {
    const key = ownKey(options);
    const found = key === undefined ? undefined : store.findByIdempotencyKey(this.parts.db, key);
    if (found && found.requestHash !== requestHash)
      throw new AppError(
        'conflict',
        `Idempotency-Key: was used for another request, job ${found.job.job_id}; use a new one`,
        { details: { job_id: found.job.job_id } },
      );
    return found && { kind: 'repeated', job: found.job };
  }
}

/** Two users may well choose the same key; a given one holds no control character. */
function ownKey({ user, idempotencyKey: key }: SubmitOptions): string | undefined {
  return key === undefined || user === BOX_OWNER ? key : `${user}\x1f${key}`;
}
