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
import type { JobId } from './job.js';
import type { Target } from './placement/target.js';

export interface JobPaths {
  /** Where the job starts; it alone writes there. */
  outputDir: string;
  logDir: string;
  stdoutPath: string;
  stderrPath: string;
  /** The uploaded script's folder; the job can read it and not write. */
  scriptDir: string;
}

/** What the folders of jobs that were never written down are called until the next start. */
const leftover = '.left-';

/** The folders of each job. Each one's set-group-ID bit puts all that is made in it into the group of the job's user. */
export class JobFolders {
  readonly resultsDir: string;
  readonly #logsDir: string;
  readonly #scriptsDir: string;
  readonly #sshJobsDir: string;

  constructor(folders: { results: string; jobLogs: string; jobScripts: string; sshJobs: string }) {
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
   * Makes them, synchronously, so that it can stand in the transaction that writes the job down.
   * @param writers who runs it: the log of `jr-remote`'s is in no folder in which a job could put a link in its way. One for any place,
   *   which `either` of them runs, leaves its outputs as a job of this machine does.
   * @param gid the group of the job's user; undefined on an external cluster, where the parents' is handed on
   * @returns the path of the uploaded script, if there is one.
   */
  make(
    id: JobId,
    script: { name: string; content: Buffer } | undefined,
    writers: Target['folderOwner'],
    gid: number | undefined,
  ): string | undefined {
    const paths = this.of(id);
    for (const folder of [paths.outputDir, paths.logDir]) {
      // A number whose row was rolled back may have left some. Jobs may have been there since: see `sweep`.
      if (existsSync(folder))
        renameSync(folder, join(dirname(folder), `${leftover}${randomUUID()}`));
      mkdirSync(folder);
      const isLog = folder === paths.logDir;
      if (writers === 'jr-remote' || (writers === 'either' && isLog))
        chownSync(folder, -1, statSync(this.#sshJobsDir).gid);
      else if (gid !== undefined) chownSync(folder, -1, gid);
      // The job's user writes here through its group; chmod, since the umask would take that away.
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
   * Makes the folders anew for a job that a worker runs: we alone write there what it sends. A local job could have put links
   * into the old ones.
   */
  makeForWorker(id: JobId): Promise<void> {
    return this.#makeAnew(id, 0o2750);
  }

  /** For a job that a worker has not brought to its end, and that may run on this machine next time. */
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
      await removeConfined(aside);
    }
  }

  /** Leaves word of what the job is made of, in a folder of its own, for what runs it on an SSH host. */
  writeSshJobSpec(spec: SshJobSpec): void {
    const folder = this.#sshJobDir(spec.job_id);
    // A number whose row was rolled back may have left one; nobody but us can write there.
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { mode: 0o750 });
    const text = `${JSON.stringify(spec, null, 2)}\n`;
    writeFileSync(join(folder, 'spec.json'), text, { mode: 0o640, flag: 'wx', flush: true });
  }

  #sshJobDir(id: number): string {
    return join(this.#sshJobsDir, String(id));
  }

  /** @throws AppError as {@link removeConfined} does: jobs write in these folders while they are removed. */
  async remove(id: JobId): Promise<void> {
    const { outputDir, logDir, scriptDir } = this.of(id);
    for (const folder of [outputDir, logDir, scriptDir, this.#sshJobDir(id)])
      await removeConfined(folder);
  }

  /** Removes what {@link make} found in its way. To be called before any job is submitted. */
  async sweep(log: Logger): Promise<void> {
    for (const parent of [this.resultsDir, this.#logsDir])
      for (const name of await readdir(parent)) {
        if (!name.startsWith(leftover)) continue;
        await removeConfined(join(parent, name)).catch((error: unknown) => {
          log.warn({ err: error, name }, 'a folder of a job that never was cannot be removed');
        });
      }
  }
}
