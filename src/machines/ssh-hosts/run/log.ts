import { closeSync, constants, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf, isDiskFull } from '../../../errors.js';
import { HOST_FAILURE, SENT_SCRIPT } from '../../../jobs/ssh-job-spec.js';
import { openFolder, within } from './own-folders.js';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

/**
 * The job's log here: our standard output and standard error, which are Slurm's files, or one file.
 */
export class JobLog {
  readonly #folder: string;

  /** Bytes copied from the host's log. */
  stdoutBytes = 0;
  stderrBytes = 0;

  /** Opens the log. @param folder holds the log; no link is followed */
  constructor(folder: string) {
    this.#folder = folder;

    const fd = openFolder(folder);
    try {
      // Left by an earlier start of the same job.
      rmSync(within(fd, HOST_FAILURE), { force: true });
    } finally {
      closeSync(fd);
    }
  }

  /**
   * Stores the host's version of the script, with that host's paths, for `GET /jobs/{id}/script`.
   */
  keepScript(script: string): void {
    this.#keep(SENT_SCRIPT, script);
  }

  /** Records that the host, and not the job, has failed; see `jobs/host-failure.ts`. */
  hostFailed(why: string): void {
    this.say(why);
    try {
      this.#keep(HOST_FAILURE, why);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    }
  }

  #keep(name: string, text: string): void {
    const fd = openFolder(this.#folder);
    try {
      const path = within(fd, name);
      rmSync(path, { force: true });
      const file = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o640);
      try {
        writeFileSync(file, text);
      } finally {
        closeSync(file);
      }
    } finally {
      closeSync(fd);
    }
  }

  async output(chunk: Buffer): Promise<void> {
    await writeAll(1, chunk, (bytes) => (this.stdoutBytes += bytes));
  }

  async error(chunk: Buffer): Promise<void> {
    await writeAll(2, chunk, (bytes) => (this.stderrBytes += bytes));
  }

  /** Writes a line of ours to standard error. */
  readonly say = (line: string): void => {
    try {
      writeSync(2, `jobrunner: ${line}\n`);
    } catch (error) {
      // A disk too full for these words must not end the job.
      if (!isDiskFull(error)) throw error;
    }
  };
}

/**
 * Writes all bytes. Slurm gives a file, whose writes never wait; a pipe in its place may be full
 * for a while.
 * @param wrote receives the size of each part, since the next may find no room
 */
async function writeAll(fd: number, chunk: Buffer, wrote: (bytes: number) => void): Promise<void> {
  for (let at = 0; at < chunk.length;)
    try {
      const bytes = writeSync(fd, chunk, at);
      at += bytes;
      wrote(bytes);
    } catch (error) {
      if (errnoOf(error) !== 'EAGAIN') throw error;
      await sleep(5);
    }
}
