import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../../errors.js';

/** The job's log here: our standard output, which is Slurm's file, and a copy of the standard error. */
export class JobLog {
  readonly #stderr: number;
  /** Bytes that were taken from there. */
  stdoutBytes = 0;
  stderrBytes = 0;

  /** @param stderrPath is appended to: a job that Slurm started anew goes on in its log. */
  constructor(stderrPath: string) {
    this.#stderr = openSync(stderrPath, 'a', 0o660);
  }

  async output(chunk: Buffer): Promise<void> {
    await writeAll(1, chunk);
    this.stdoutBytes += chunk.length;
  }

  async error(chunk: Buffer): Promise<void> {
    await writeAll(this.#stderr, chunk);
    this.stderrBytes += chunk.length;
  }

  /** A word of ours, into both. */
  readonly say = (line: string): void => {
    const text = Buffer.from(`jobrunner: ${line}\n`);
    writeSync(2, text);
    writeSync(this.#stderr, text);
  };

  close(): void {
    fsyncSync(this.#stderr);
    closeSync(this.#stderr);
  }
}

/** Slurm gives a file, whose writes do not wait; a pipe in its place may be full for a while. */
async function writeAll(fd: number, chunk: Buffer): Promise<void> {
  for (let at = 0; at < chunk.length;)
    try {
      at += writeSync(fd, chunk, at);
    } catch (error) {
      if (errnoOf(error) !== 'EAGAIN') throw error;
      await sleep(5);
    }
}
