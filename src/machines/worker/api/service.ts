import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { chmod, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { extractArchive } from '../../../datasets/archive/extract-archive.js';
import type { Dataset } from '../../../datasets/store.js';
import type { Sha256 } from '../../../datasets/digest.js';
import { KeyLock } from '../../../key-lock.js';
import type { Database } from '../../../db/database.js';
import { AppError, errnoOf, fieldError } from '../../../errors.js';
import type { Job, JobId } from '../../../jobs/job.js';
import type { JobFolders } from '../../../jobs/job-folders.js';
import type { LogStream } from '../../../jobs/log-file.js';
import type { WorkerJob } from '../../../cluster/workers/record.js';
import * as store from './store.js';

export interface WorkerServiceParts {
  db: Database;
  folders: JobFolders;
  /** The folder of unfinished transfers; beside the results, into which they are renamed. */
  arrivals: string;
  datasets: {
    get(sha: Sha256): Dataset;
    forJob(sha: Sha256): { originalPath: string };
  };
  findJob: (id: JobId) => Job | undefined;
  /** Reports a problem of a job. */
  warn: (id: JobId, message: string) => void;
  /** Called when a job's outputs have arrived. */
  onDelivered: (id: JobId) => void;
}

/**
 * Receives workers' results and gives them their jobs' files. No text from a worker is used as a
 * path.
 */
export class WorkerService {
  readonly #parts: WorkerServiceParts;

  readonly #locks = new KeyLock();
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(parts: WorkerServiceParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    await mkdir(this.#parts.arrivals, { recursive: true });
    await chmod(this.#parts.arrivals, 0o700);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#running);
  }

  /**
   * Begins a job on a worker.
   * @throws AppError not_found; conflict when Slurm has not given it the job
   */
  begin(worker: string, id: JobId, slurmJobId: number): Promise<WorkerJob> {
    return this.#alone(id, async () => {
      const { db, folders, findJob } = this.#parts;
      const job = findJob(id);
      if (job === undefined) throw new AppError('not_found', `there is no job ${id}`);
      // Slurm may start a job before we have its number from sbatch.
      if (job.terminal || (job.slurm_job_id !== null && job.slurm_job_id !== slurmJobId))
        throw new AppError('conflict', `job ${id} must not run: it is ${job.state}`);
      await folders.makeForWorker(id);
      await rm(this.#archiveOf(id), { force: true });
      store.takeUp(db, id, worker);
      return this.#view(worker, job);
    });
  }

  /** Returns a job of that worker. @throws AppError not_found */
  async look(worker: string, id: JobId): Promise<WorkerJob> {
    const job = this.#parts.findJob(id);
    if (job === undefined) throw new AppError('not_found', `there is no job ${id}`);
    return this.#view(worker, job);
  }

  problem(worker: string, id: JobId, message: string): void {
    this.#ensureOwn(worker, id);
    this.#parts.warn(id, `${worker}: ${message}`);
  }

  /**
   * Appends to a job's log.
   * @throws AppError conflict, with the present `size`, when that is not `offset`
   */
  appendLog(worker: string, id: JobId, stream: LogStream, offset: number, bytes: Buffer) {
    this.#ensureOwn(worker, id);
    const path = join(this.#parts.folders.of(id).logDir, `${stream}.log`);
    return this.#alone(id, () => append(path, offset, bytes, 0o640));
  }

  /** Appends to the archive of a job's outputs, as {@link appendLog} does. */
  appendOutputs(worker: string, id: JobId, offset: number, bytes: Buffer) {
    this.#ensureOwn(worker, id);
    return this.#alone(id, () => append(this.#archiveOf(id), offset, bytes, 0o600));
  }

  /**
   * Unpacks the whole archive: its files become the job's outputs.
   * @throws AppError sha256_mismatch (send it anew), archive_refused, disk_full
   */
  deliver(worker: string, id: JobId, sha256: string): Promise<void> {
    return this.#alone(id, async () => {
      const { db, folders, onDelivered } = this.#parts;
      if (this.#ensureOwn(worker, id).delivered) return;
      const archive = this.#archiveOf(id);
      const { outputDir } = folders.of(id);
      const tree = `${archive}.tree`;
      await rm(tree, { recursive: true, force: true });
      if ((await digestOf(archive)) !== sha256) {
        await rm(archive, { force: true });
        throw new AppError('sha256_mismatch', 'the outputs arrived damaged; send them again');
      }
      const { gid } = await stat(outputDir);
      const limits = { maxBytes: 0, maxFiles: 0 };
      const { signal } = this.#closing;
      await extractArchive(archive, tree, limits, { signal, fileGroup: gid, durable: true });
      // Replace the old folder, which is empty and which only we write.
      await rename(join(tree, 'outputs'), outputDir);
      await chmod(outputDir, 0o2750);
      store.markDelivered(db, id);
      await rm(archive);
      await rm(tree, { recursive: true });
      onDelivered(id);
    });
  }

  /**
   * Releases requeued jobs, which may next run here or on another worker. Must be called after each
   * poll of the jobs.
   */
  async releaseQueued(): Promise<void> {
    const { db, folders } = this.#parts;
    for (const id of store.queuedAgain(db))
      await this.#alone(id as JobId, async () => {
        store.forget(db, id);
        await folders.makeAgain(id as JobId);
      });
  }

  /** Returns the path of the script that came with the job. @throws AppError not_found */
  scriptOf(worker: string, id: JobId): string {
    this.#ensureOwn(worker, id);
    const name = this.#parts.findJob(id)?.request.script_name;
    if (name === undefined) throw new AppError('not_found', `job ${id} has no script of its own`);
    return join(this.#parts.folders.of(id).scriptDir, name);
  }

  async #view(worker: string, job: Job): Promise<WorkerJob> {
    const { folders, datasets } = this.#parts;
    const { dataset_sha: sha, script_name } = job.request;
    const { stdoutPath, stderrPath } = folders.of(job.job_id);
    const dataset = sha === undefined ? undefined : datasets.get(sha);
    return {
      job_id: job.job_id,
      slurm_job_id: job.slurm_job_id,
      yours: store.findWorkerJob(this.#parts.db, job.job_id)?.worker === worker,
      ended: job.terminal,
      script_name: script_name ?? null,
      dataset: dataset ? { sha256: dataset.sha256, name: dataset.name, size: dataset.size } : null,
      log: { stdout: await sizeOf(stdoutPath), stderr: await sizeOf(stderrPath) },
      outputs: await sizeOf(this.#archiveOf(job.job_id)),
    };
  }

  /** Does one thing at a time for each job. @throws AppError shutting_down */
  #alone<T>(id: JobId, work: () => Promise<T>): Promise<T> {
    if (this.#closing.signal.aborted)
      throw new AppError('shutting_down', 'the service is stopping; ask again once it is back');
    const running = this.#locks.hold(String(id), work);
    this.#running.add(running);
    const done = () => this.#running.delete(running);
    running.then(done, done);
    return running;
  }

  #archiveOf(id: JobId): string {
    return join(this.#parts.arrivals, `${id}.tar`);
  }

  #ensureOwn(worker: string, id: JobId): store.WorkerJobRow {
    const row = store.findWorkerJob(this.#parts.db, id);
    if (row?.worker !== worker) throw new AppError('forbidden', `job ${id} is not ${worker}’s`);
    return row;
  }
}

async function append(path: string, offset: number, bytes: Buffer, mode: number) {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW;
  const file = await open(path, flags, mode);
  try {
    const { size } = await file.stat();
    if (size !== offset)
      throw fieldError('conflict', 'offset', `the file has ${size} bytes`, { details: { size } });
    await file.write(bytes, 0, bytes.length, offset);
    return { size: size + bytes.length };
  } finally {
    await file.close();
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0;
    throw error;
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path), hash);
  } catch (error) {
    // The worker called it whole before any byte had come.
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  return hash.digest('hex');
}
