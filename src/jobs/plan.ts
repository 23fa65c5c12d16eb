import { join } from 'node:path';
import type { Sha256 } from '../datasets/digest.js';
import type { ModelNeeds } from '../cluster/gpus/models.js';
import type { UnixUser } from '../config/unix-users.js';
import type { JobId, JobRequest } from './job.js';
import type { JobFolders } from './job-folders.js';
import { dedupHashOf } from './job-hashes.js';
import type { JobUsers } from './job-users.js';
import { checkTemplateInputs, normalize } from './normalize.js';
import type { Target, Targets } from './placement/target.js';
import type { ScriptFile, SubmitFields } from './request.js';
import type { ExternalScript } from './script/parts.js';
import { renderScript } from './script/script.js';
import type { Template } from './templates/template.js';

export interface SubmitOptions {
  /** The user whose job it is. */
  user: string;
  script?: ScriptFile | undefined;
  idempotencyKey?: string | undefined;
  /** Digest of a file that the job runs in place, so that `dedup` tells a changed one apart. */
  contentHash?: string | undefined;
  /** Runs in the transaction that stores a new job. */
  alongside?: ((id: JobId) => void) | undefined;
}

export interface PlannerParts {
  datasets: { forJob(sha: Sha256): JobDataset };
  folders: JobFolders;
  targets: Targets;
  /** The Unix users that jobs run as; undefined on an external cluster. */
  users: JobUsers | undefined;
  /** Folder of GNU screen's sockets, which has a folder for each Unix user. */
  screenDir: string;
  /** A worker's file about its own GPUs, for scripts; undefined where no worker may join. */
  nodeFile: string | undefined;
  /** Facts for scripts on an external cluster's nodes; undefined in a cluster of our own. */
  external?: ExternalScript | undefined;
  models: ModelNeeds;
  /** Variables of every job. */
  commonEnv: Readonly<Record<string, string>>;
}

export interface JobDataset {
  treeDir: string;
  originalPath: string;
}

/** A job that has been checked, and not stored yet. */
export interface JobPlan {
  template: Template;
  request: JobRequest;
  target: Target;
  dataset: JobDataset | undefined;
  unixUser: UnixUser | undefined;
  /** Equal for jobs that would do the same. */
  dedupHash: string;
}

/** Turns submitted fields into a job that can run, and renders its script. */
export class JobPlanner {
  readonly #parts: PlannerParts;

  constructor(parts: PlannerParts) {
    this.#parts = parts;
  }

  /** @throws AppError bad_request, unprocessable, not_found, dataset_corrupt */
  plan(template: Template, fields: SubmitFields, options: SubmitOptions): JobPlan {
    const { targets, models, external, datasets, users } = this.#parts;
    checkTemplateInputs(template, fields, options.script);
    const requested = targets.forPartition(fields.partition);
    const context = { models, isExternal: external !== undefined };
    const asked = normalize(template, fields, requested, context, options.script);
    const problem = requested.problemWith(asked);
    if (problem) throw problem;
    const request = targets.resolvePartition(asked);
    return {
      template,
      request,
      target: targets.forPartition(request.partition),
      dataset: request.dataset_sha && datasets.forJob(request.dataset_sha),
      dedupHash: dedupHashOf(asked, options.script, options.contentHash),
      unixUser: users?.of(options.user),
    };
  }

  render(
    { template, request, target, dataset, unixUser }: JobPlan,
    job: { jobId: JobId; experimentId: string; scriptPath: string | undefined },
  ): string {
    const { folders, screenDir, nodeFile, external, commonEnv } = this.#parts;
    const { outputDir, logDir } = folders.of(job.jobId);
    return renderScript({
      ...job,
      request,
      commonEnv,
      template,
      dataset,
      outputDir,
      logDir,
      screenDir: join(screenDir, unixUser?.name ?? ''),
      account: unixUser && { user: unixUser.name, home: unixUser.home, environment: {} },
      fleet: target.scriptGpus(request),
      nodeFile,
      external,
    });
  }
}
