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
  #isAtLineStart = true;
  /** True while a piece of the job's output is written in part, and the rest waits for room. */
  #isTorn = false;
  /** Lines of ours that came meanwhile. */
  #postponed: string[] = [];

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
    await this.#copy(1, chunk, (bytes) => (this.stdoutBytes += bytes));
  }

  async error(chunk: Buffer): Promise<void> {
    await this.#copy(2, chunk, (bytes) => (this.stderrBytes += bytes));
  }

  async #copy(fd: number, chunk: Buffer, wrote: (bytes: number) => void): Promise<void> {
    this.#isTorn = true;
    await writeAll(fd, chunk, (part) => {
      this.#isAtLineStart = part.at(-1) === 0x0a;
      wrote(part.length);
    });
    this.#isTorn = false;
    for (const line of this.#postponed.splice(0)) this.say(line);
  }

  /** Writes a line of ours to standard error, never inside a piece of the job's output. */
  readonly say = (line: string): void => {
    if (this.#isTorn) {
      this.#postponed.push(line);
      return;
    }
    write(`${this.#isAtLineStart ? '' : '\n'}jobrunner: ${line}\n`);
    this.#isAtLineStart = true;
  };
}

function write(text: string): void {
  try {
    writeSync(2, text);
  } catch (error) {
    // A disk too full for these words must not end the job.
    if (!isDiskFull(error)) throw error;
  }
}

/**
 * Writes all bytes. Slurm gives a file, whose writes never wait; a pipe in its place may be full
 * for a while.
 * @param wrote receives each part, since the next may find no room
 */
async function writeAll(fd: number, chunk: Buffer, wrote: (part: Buffer) => void): Promise<void> {
  for (let at = 0; at < chunk.length;)
    try {
      const bytes = writeSync(fd, chunk, at);
      wrote(chunk.subarray(at, at + bytes));
      at += bytes;
    } catch (error) {
      if (errnoOf(error) !== 'EAGAIN') throw error;
      await sleep(5);
    }
}
