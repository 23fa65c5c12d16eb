import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import type { SshJobSpec } from './ssh-job-spec.js';
import { removeConfined } from '../storage/confined-fs/confined-remove.js';
import { refusalReason } from '../storage/confined-fs/refusals.js';
import type { JobId } from './job.js';
import { opensNone, type OpenFolders } from './open-folders.js';
import type { Target } from './placement/target.js';

export interface JobPaths {
  /** The job's working directory; only the job writes there. */
  outputDir: string;
  logDir: string;
  stdoutPath: string;
  stderrPath: string;
  /** Folder of the uploaded script, which the job can read but not write. */
  scriptDir: string;
}

/** Prefix of folders that were set aside; the next start removes those that remain. */
const leftover = '.left-';

/** Passes of opening and removing a folder: jobs of its user may close folders again. */
const maxPasses = 20;

/**
 * The folders of each job. Their set-group-ID bit gives everything made in them the group of the
 * job's user.
 */
export class JobFolders {
  readonly resultsDir: string;
  readonly #logsDir: string;
  readonly #scriptsDir: string;
  readonly #sshJobsDir: string;
  readonly #openFolders: OpenFolders;

  /** @param openFolders opens the folders that jobs have closed to the service */
  constructor(
    folders: { results: string; jobLogs: string; jobScripts: string; sshJobs: string },
    openFolders = opensNone,
  ) {
    this.#openFolders = openFolders;
    this.resultsDir = folders.results;
    this.#logsDir = folders.jobLogs;
    this.#scriptsDir = folders.jobScripts;
    this.#sshJobsDir = folders.sshJobs;
  }

  of(id: JobId): JobPaths {
    const logDir = join(this.#logsDir, String(id));
    return {
      outputDir: join(this.resultsDir, String(id)),
      logDir,
      stdoutPath: join(logDir, 'stdout.log'),
      stderrPath: join(logDir, 'stderr.log'),
      scriptDir: join(this.#scriptsDir, String(id)),
    };
  }

  /**
   * Makes the job's folders, synchronously, so that it can run in the transaction that stores the
   * job.
   * @param writers the user who writes in the folders. The log of `jr-remote` lies in a folder
   *   where no job can put a link in its way. For `either`, the outputs' folder is the job's
   *   user's.
   * @param gid the group of the job's user; undefined on an external cluster, where folders inherit
   *   their parents' group
   * @returns the path of the uploaded script, if there is one
   */
  make(
    id: JobId,
    script: { name: string; content: Buffer } | undefined,
    writers: Target['folderOwner'],
    gid: number | undefined,
  ): string | undefined {
    const paths = this.of(id);
    for (const folder of [paths.outputDir, paths.logDir]) {
      // A row that was rolled back may have left a folder, and jobs may have written there: see
      // `sweep`.
      if (existsSync(folder))
        renameSync(folder, join(dirname(folder), `${leftover}${randomUUID()}`));
      mkdirSync(folder);
      const isLog = folder === paths.logDir;
      if (writers === 'jr-remote' || (writers === 'either' && isLog))
        chownSync(folder, -1, statSync(this.#sshJobsDir).gid);
      else if (gid !== undefined) chownSync(folder, -1, gid);
      // The job's user writes here through its group; under the umask, mkdir would not allow that.
      chmodSync(folder, 0o2770);
    }
    if (script === undefined) return undefined;
    rmSync(paths.scriptDir, { recursive: true, force: true });
    mkdirSync(paths.scriptDir);
    if (gid !== undefined) chownSync(paths.scriptDir, -1, gid);
    chmodSync(paths.scriptDir, 0o2750);
    const path = join(paths.scriptDir, script.name);
    writeFileSync(path, script.content, { mode: 0o640, flag: 'wx', flush: true });
    return path;
  }

  /**
   * Replaces the folders of a job that a worker runs: a local job could have put links into the old
   * ones. Only JobRunner writes in the new ones, from what the worker sends.
   */
  makeForWorker(id: JobId): Promise<void> {
    return this.#makeAnew(id, 0o2750);
  }

  /**
   * Replaces the folders of a job that a worker did not finish, and that may run here next time.
   */
  makeAgain(id: JobId): Promise<void> {
    return this.#makeAnew(id, 0o2770);
  }

  async #makeAnew(id: JobId, mode: number): Promise<void> {
    const { outputDir, logDir } = this.of(id);
    for (const folder of [outputDir, logDir]) {
      const aside = join(dirname(folder), `${leftover}${randomUUID()}`);
      const { gid } = statSync(folder);
      renameSync(folder, aside);
      mkdirSync(folder);
      chownSync(folder, -1, gid);
      chmodSync(folder, mode);
      await this.#remove(aside);
    }
  }

  /** Writes the job's spec, in a folder of its own, for the process that runs it on an SSH host. */
  writeSshJobSpec(spec: SshJobSpec): void {
    const folder = this.#sshJobDir(spec.job_id);
    // A row that was rolled back may have left a folder; only JobRunner can write there.
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { mode: 0o750 });
    const text = `${JSON.stringify(spec, null, 2)}\n`;
    writeFileSync(join(folder, 'spec.json'), text, { mode: 0o640, flag: 'wx', flush: true });
  }

  #sshJobDir(id: number): string {
    return join(this.#sshJobsDir, String(id));
  }

  /**
   * Removes the job's folders; jobs may write in them meanwhile.
   * @throws AppError as {@link removeConfined} does
   */
  async remove(id: JobId): Promise<void> {
    const { outputDir, logDir, scriptDir } = this.of(id);
    for (const folder of [outputDir, logDir, scriptDir, this.#sshJobDir(id)])
      await this.#remove(folder);
  }

  /** Removes a folder; opens it first where jobs of its user have closed it. */
  async #remove(folder: string): Promise<void> {
    for (let pass = 1; ; pass++)
      try {
        await removeConfined(folder);
        return;
      } catch (error) {
        const isClosed = refusalReason(error) === 'closed_by_job';
        if (!isClosed || pass === maxPasses || !(await this.#openFolders(folder))) throw error;
      }
  }

  /** Removes the folders that {@link make} set aside. Call it before any job is submitted. */
  async sweep(log: Logger): Promise<void> {
    for (const parent of [this.resultsDir, this.#logsDir])
      for (const name of await readdir(parent)) {
        if (!name.startsWith(leftover)) continue;
        await this.#remove(join(parent, name)).catch((error: unknown) => {
          log.warn(
            { err: error, name },
            'a folder of a job that was never stored cannot be removed',
          );
        });
      }
  }
}
