import {
  closeSync,
  constants,
  fsyncSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf, isDiskFull } from '../../../errors.js';
import { HOST_FAILURE, SENT_SCRIPT } from '../../../jobs/ssh-job-spec.js';
import { openFolder, within } from './own-folders.js';

const { O_WRONLY, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

/** The job's log here: our standard output, which is Slurm's file, and a copy of the standard error. */
export class JobLog {
  readonly #stderr: number;
  /** Bytes that were taken from there. */
  stdoutBytes = 0;
  stderrBytes = 0;

  /** @param folder whose stderr.log is appended to: a job that Slurm started anew goes on in its log. No link is followed. */
  constructor(private readonly folder: string) {
    const fd = openFolder(folder);
    try {
      const flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW;
      this.#stderr = openSync(within(fd, 'stderr.log'), flags, 0o660);
      // Of an earlier start of the same job.
      rmSync(within(fd, HOST_FAILURE), { force: true });
    } finally {
      closeSync(fd);
    }
  }

  /** Keeps what the host is given to run, for `GET /jobs/{id}/script`: its paths are that host's. */
  keepScript(script: string): void {
    this.#keep(SENT_SCRIPT, script);
  }

  /** Says why the host, and not the job, has failed; also where the job can say nothing, see `jobs/host-failure.ts`. */
  hostFailed(why: string): void {
    this.say(why);
    try {
      this.#keep(HOST_FAILURE, why);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    }
  }

  #keep(name: string, text: string): void {
    const fd = openFolder(this.folder);
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
    await writeAll(this.#stderr, chunk, (bytes) => (this.stderrBytes += bytes));
  }

  /** A word of ours, into both. */
  readonly say = (line: string): void => {
    const text = Buffer.from(`jobrunner: ${line}\n`);
    for (const fd of [2, this.#stderr])
      try {
        writeSync(fd, text);
      } catch (error) {
        // For want of room for these words the job must not be given up.
        if (!isDiskFull(error)) throw error;
      }
  };

  close(): void {
    fsyncSync(this.#stderr);
    closeSync(this.#stderr);
  }
}

/**
 * Slurm gives a file, whose writes do not wait; a pipe in its place may be full for a while.
 * @param wrote is told of each part, since the next may find no room
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
