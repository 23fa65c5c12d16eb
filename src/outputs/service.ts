import { posix } from 'node:path';
import { settlesBefore } from '../abort.js';
import type { Database } from '../db/database.js';
import { AppError, errnoOf, fieldError, isDiskFull } from '../errors.js';
import { KeyLock } from '../key-lock.js';
import { openConfinedEntry } from '../storage/confined-fs/confined-files.js';
import type { ConfinedFile } from '../storage/confined-fs/confined-handles.js';
import { splitConfinedPath } from '../storage/confined-fs/confined-path.js';
import { quote } from '../storage/confined-fs/refusals.js';
import { DigestThreads } from './digest-threads.js';
import { onlyJobOf } from './experiment.js';
import { fingerprintOf } from './file-digest.js';
import { indexFolder, type FolderIndex } from './index-folder.js';
import * as store from './store.js';

/** Facts about a job that outputs depend on. */
export interface OutputJob {
  job_id: number;
  /** The job's user. */
  user: string;
  experiment_id: string;
  /** Slurm's state of the job, shown to the caller. */
  state: string;
  /** Whether the job has ended and writes no more. */
  terminal: boolean;
}

export interface OutputJobs {
  find(jobId: number): OutputJob | undefined;
  /** Lists the jobs submitted with this `experiment_id`. */
  inExperiment(experimentId: string): OutputJob[];
}

/** The user whose jobs the caller may see; undefined means everybody's. */
type Scope = string | undefined;

/** An experiment, as a caller names it. */
export interface ExperimentQuery {
  experimentId: string;
  /** Whose experiment; left out for the caller's own. */
  user?: string | undefined;
  caller: string;
  scope: Scope;
}

export interface OutputDependencies {
  db: Database;
  /** Folder that holds each job's folder, named by its `job_id`. */
  resultsDir: string;
  /** Milliseconds since 1970. */
  now: () => number;
  jobs: OutputJobs;
  /** Describes the outputs of an ended job that have not arrived yet, if any. */
  onTheWay?: (jobId: number) => string | undefined;
}

export interface JobOutputs {
  job: OutputJob;
  /** Undefined until the job has ended. */
  source: FolderIndex['source'] | undefined;
  indexedAt: number | undefined;
  outputs: store.OutputRow[];
  warnings: string[];
  /** Whether the outputs are still being indexed; the listing is the previous one, or empty. */
  indexing: boolean;
}

export interface ExperimentOutputs {
  rows: store.OutputRow[];
  /** Whether outputs of some job are still being indexed, and therefore missing. */
  indexing: boolean;
}

/** An opened download. The receiver closes a file's handle. */
export type Download =
  | { kind: 'file'; name: string; file: ConfinedFile; etag: string }
  /** A folder to walk, at `path` below `root`. */
  | { kind: 'folder'; name: string; root: string; path: string };

const idsShown = 50;

/**
 * Indexes the outputs of ended jobs, and opens them for download. It indexes one job of each user
 * at a time, and hashes the files of all of them in turns. So no user waits for another's large
 * files.
 *
 * Methods that take `until` return what is known once that signal fires; the indexing goes on.
 */
export class OutputService {
  readonly #deps: OutputDependencies;

  readonly #running = new Map<number, Promise<JobOutputs>>();
  /** By user. */
  readonly #turns = new KeyLock();
  readonly #threads = new DigestThreads();
  readonly #stop = new AbortController();

  constructor(deps: OutputDependencies) {
    this.#deps = deps;
  }

  /**
   * Updates a job's index from its folder. Call this when a job ends and whenever its result is
   * requested; unchanged files are not hashed again. Calls for the same job share one run. A job
   * that has not ended is not indexed: its listing is empty (after a requeue, the previous one) and
   * says so.
   * @throws AppError not_found (no such job), disk_full, shutting_down
   */
  async indexJob(jobId: number): Promise<JobOutputs> {
    return this.#running.get(jobId) ?? this.#begin(this.#findJob(jobId));
  }

  /**
   * Updates a job's index like {@link indexJob}.
   * @throws AppError like {@link indexJob}
   */
  async refresh(jobId: number, until: AbortSignal): Promise<JobOutputs> {
    const indexed = this.indexJob(jobId);
    if (await settlesBefore(until, indexed)) return indexed;
    return this.#listing(this.#findJob(jobId), true);
  }

  /**
   * Lists a job's outputs; indexes them first if the job has ended and has no index.
   * @throws AppError like {@link indexJob}
   */
  async byJob(jobId: number, scope: Scope, until: AbortSignal): Promise<JobOutputs> {
    const job = this.#findJob(jobId, scope);
    return this.#isIndexed(job) ? this.#listing(job) : this.refresh(jobId, until);
  }

  /**
   * Lists the outputs of one user's jobs in an experiment, newest job first.
   * @throws AppError not_found; ambiguous when only other users have that experiment; like
   *   {@link indexJob}
   */
  async byExperiment(query: ExperimentQuery, until: AbortSignal): Promise<ExperimentOutputs> {
    const jobs = this.#jobsOf(query);
    let indexing = false;
    for (const job of jobs)
      if (!this.#isIndexed(job)) ({ indexing } = await this.refresh(job.job_id, until));
    const ids = new Set(jobs.map((job) => job.job_id));
    const rows = store.outputsOfExperiment(this.#deps.db, query.experimentId);
    return { rows: rows.filter((row) => ids.has(row.jobId)), indexing };
  }

  /**
   * Opens an output by its id.
   * @param of the job to take it from: needed when several jobs of the experiment have that id
   * @throws AppError ambiguous, with the jobs that have it; not_found, with the existing ids;
   *   conflict while it may still be found; otherwise like {@link byExperiment} and
   *   {@link openByPath}
   */
  async openOutput(
    query: ExperimentQuery,
    outputId: string,
    until: AbortSignal,
    of?: number | 'latest',
  ): Promise<Download> {
    const { experimentId } = query;
    const { rows: all, indexing } = await this.byExperiment(query, until);
    const rows = typeof of === 'number' ? all.filter((one) => one.jobId === of) : all;
    const found = rows.filter((one) => one.outputId === outputId);
    if (indexing && (found.length === 0 || of === 'latest'))
      throw fieldError(
        'conflict',
        'output_id',
        `outputs of experiment ${quote(experimentId)} are still being indexed; ask again`,
        { details: { retry_after_s: 0 } },
      );
    if (found.length > 1 && of === undefined)
      throw new AppError(
        'ambiguous',
        `job_id: ${found.length} jobs of experiment ${quote(experimentId)} have an output ` +
          `${quote(outputId)}; add job_id=${found[0]?.jobId}, or job_id=latest for the newest`,
        { details: { fields: ['job_id'], job_ids: found.map((one) => one.jobId) } },
      );
    const [row] = found;
    if (row) return this.#open(row.jobId, row.path);
    const ids = [...new Set(rows.map((one) => one.outputId))].slice(0, idsShown);
    const hint =
      ids.length > 0
        ? `it has ${ids.map(quote).join(', ')}${ids.length === idsShown ? ', …' : ''}`
        : 'it has no outputs yet';
    throw fieldError(
      'not_found',
      'output_id',
      `experiment ${quote(experimentId)} has no output ${quote(outputId)}; ${hint}`,
      { details: { output_ids: ids } },
    );
  }

  /**
   * Opens any file or folder of a job, whether indexed or not, running or not.
   * @throws AppError bad_request (malformed path), not_found (no such job or file, or a kind that
   *   is not served), conflict (the job denies access to it)
   */
  async openByPath(jobId: number, relPath: string, scope: Scope): Promise<Download> {
    this.#findJob(jobId, scope);
    splitConfinedPath(relPath, 'rel_path');
    return this.#open(jobId, relPath);
  }

  /** Aborts the running indexing and waits for it; a request after the next start indexes again. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#running.values());
    await this.#threads.close();
  }

  #begin({ job_id: id, user }: OutputJob): Promise<JobOutputs> {
    const task = this.#turns
      .hold(user, () => this.#index(id))
      .finally(() => this.#running.delete(id));
    this.#running.set(id, task);
    return task;
  }

  async #index(jobId: number): Promise<JobOutputs> {
    const job = this.#findJob(jobId);
    if (!job.terminal) return this.#listing(job);
    const { db, now, onTheWay } = this.#deps;
    const { signal } = this.#stop;
    const wasLate = onTheWay?.(jobId) !== undefined;
    try {
      signal.throwIfAborted();
      const found = await indexFolder(this.#folderOf(jobId), {
        experimentId: job.experiment_id,
        known: (fingerprint) => store.digestOf(db, jobId, fingerprint),
        threads: this.#threads,
        signal,
      });
      signal.throwIfAborted();
      // The job may have been deleted while its files were hashed.
      this.#findJob(jobId);
      const { source, warnings } = found;
      const index = { jobId, experimentId: job.experiment_id, source, warnings, indexedAt: now() };
      db.transaction(() => store.replaceIndex(db, index, found.outputs))();
    } catch (error) {
      if (signal.aborted)
        throw new AppError('shutting_down', 'the service is stopping; ask again after its restart');
      if (isDiskFull(error) || errnoOf(error) === 'SQLITE_FULL')
        throw new AppError(
          'disk_full',
          'the disk is full: delete datasets or results, then retry',
          {
            cause: error,
          },
        );
      throw error;
    }
    // The late outputs may have arrived after the folder was read.
    if (wasLate && onTheWay?.(jobId) === undefined) return this.#index(jobId);
    return this.#listing(job);
  }

  /** Tells whether the job needs no (further) indexing. */
  #isIndexed({ job_id: id, terminal }: OutputJob): boolean {
    if (!terminal) return true;
    return store.findIndex(this.#deps.db, id) !== undefined && !this.#running.has(id);
  }

  #listing(job: OutputJob, indexing = false): JobOutputs {
    const index = store.findIndex(this.#deps.db, job.job_id);
    const late = this.#deps.onTheWay?.(job.job_id);
    const warnings = [...(index?.warnings ?? []), ...(late === undefined ? [] : [late])];
    return {
      job,
      source: index?.source,
      indexedAt: index?.indexedAt,
      outputs: store.outputsOfJob(this.#deps.db, job.job_id),
      warnings: job.terminal
        ? warnings
        : [...warnings, `the job is ${job.state}: its outputs are indexed when it ends`],
      indexing,
    };
  }

  /**
   * Returns an experiment's jobs. An experiment belongs to a user: two users may choose the same
   * name, and neither can put a file among the other's.
   * @throws AppError not_found, ambiguous
   */
  #jobsOf({ experimentId, user, caller, scope }: ExperimentQuery): OutputJob[] {
    const visible = this.#deps.jobs
      .inExperiment(experimentId)
      .filter((job) => scope === undefined || job.user === scope);
    const jobs = visible.filter((job) => job.user === (user ?? caller));
    if (jobs.length > 0) return jobs;
    // The name that a job has without an experiment means that one job.
    if (user === undefined && visible.length > 0) {
      if (onlyJobOf(experimentId) !== undefined) return visible;
      const users = [...new Set(visible.map((job) => job.user))].sort();
      throw new AppError(
        'ambiguous',
        `user: you have no experiment ${quote(experimentId)}; for another's, add user=${users.join(' or user=')}`,
        { details: { fields: ['user'], users } },
      );
    }
    throw new AppError('not_found', `experiment_id: no job of experiment ${quote(experimentId)}`, {
      details: { fields: ['experiment_id'] },
    });
  }

  async #open(jobId: number, path: string): Promise<Download> {
    const root = this.#folderOf(jobId);
    const entry = await openConfinedEntry(root, path);
    const name = posix.basename(posix.normalize(path));
    if (entry.kind === 'folder') {
      await entry.handle.close();
      return { kind: 'folder', name: name === '.' ? `job-${jobId}` : name, root, path };
    }
    try {
      const fingerprint = fingerprintOf(entry.stats);
      const digest = store.digestOf(this.#deps.db, jobId, fingerprint);
      return { kind: 'file', name, file: entry, etag: `"${digest ?? fingerprint}"` };
    } catch (error) {
      await entry.handle.close();
      throw error;
    }
  }

  #folderOf(jobId: number): string {
    return posix.join(this.#deps.resultsDir, String(jobId));
  }

  #findJob(jobId: number, scope?: Scope): OutputJob {
    const job = this.#deps.jobs.find(jobId);
    if (!job || (scope !== undefined && job.user !== scope))
      throw fieldError('not_found', 'job_id', `there is no job ${jobId}`);
    return job;
  }
}
