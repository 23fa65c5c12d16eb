import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import type { Logger } from 'pino';
import { z } from 'zod';
import { errnoOf } from '../../errors.js';

const maxBytes = 1024 ** 2;

const schema = z.looseObject({
  paused_gpus: z.array(z.number().int()).optional(),
});

/** What changed in the file since it was last read or written. */
export interface StateChange {
  pause: number[];
  resume: number[];
}

/**
 * `gpu_scheduler_state.json`: an object whose `paused_gpus` lists the indices of paused GPUs. Who edits the list pauses and
 * resumes; what we pause and resume is written into it. Its other keys are other programs'. A file that cannot be used changes
 * nothing; {@link problem} says why.
 */
export class StateFile {
  #problem: string | null = null;
  #text: string | undefined;
  /** The list as last read or written. */
  #listed: number[] | undefined;

  constructor(
    private readonly path: string,
    private readonly gpuCount: number,
    private readonly log: Logger,
  ) {}

  get problem(): string | null {
    return this.#problem;
  }

  /** @param paused what is paused now, against which a file seen for the first time is held */
  async read(paused: readonly number[]): Promise<StateChange> {
    const none = { pause: [], resume: [] };
    const text = await this.#readText();
    if (text === this.#text) return none;
    this.#text = text;
    if (text === undefined) return none;
    const listed = this.#parse(text)?.paused_gpus;
    if (listed === undefined) return none;
    const change = await this.#changeTo(listed, paused);
    this.#listed = listed;
    return change;
  }

  /** Leaves a file alone that it cannot read, and one that lists just these. */
  async write(paused: readonly number[]): Promise<void> {
    const text = await this.#readText();
    const isThere = text !== undefined;
    if (!isThere && this.#problem !== null) return;
    const state = isThere ? this.#parse(text) : {};
    if (state === undefined) return;
    const sorted = [...paused].sort((a, b) => a - b);
    if (sameIndices(state.paused_gpus, sorted)) return;
    const fresh = `${JSON.stringify({ ...state, paused_gpus: sorted }, null, 2)}\n`;
    try {
      await writeText(this.path, fresh);
    } catch (error) {
      this.#report(`cannot be written: ${(error as Error).message}`);
      return;
    }
    this.#text = fresh;
    this.#listed = sorted;
  }

  async #changeTo(listed: readonly number[], paused: readonly number[]): Promise<StateChange> {
    const before = this.#listed ?? paused;
    // A file that we cannot write does not list what was paused over the API: that says nothing.
    const isOurs = this.#listed !== undefined || (await isWritable(this.path));
    return {
      pause: listed.filter((index) => !before.includes(index)),
      resume: isOurs ? before.filter((index) => !listed.includes(index)) : [],
    };
  }

  #parse(text: string): z.infer<typeof schema> | undefined {
    let parsed: z.infer<typeof schema>;
    try {
      // An empty file is one that somebody has just made.
      parsed = schema.parse(text.trim() === '' ? {} : JSON.parse(text));
    } catch (error) {
      const why = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
      this.#report(why);
      return undefined;
    }
    const unknown = parsed.paused_gpus?.filter((i) => i < 0 || i >= this.gpuCount) ?? [];
    if (unknown.length > 0) {
      this.#report(`paused_gpus: there is no GPU ${unknown.slice(0, 10).join(', ')}`);
      return undefined;
    }
    this.#problem = null;
    return parsed;
  }

  /** Undefined when it is not there or cannot be read, which is reported. */
  async #readText(): Promise<string | undefined> {
    try {
      return await readText(this.path);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') this.#problem = null;
      else this.#report(`cannot be read: ${(error as Error).message}`);
      return undefined;
    }
  }

  #report(why: string): void {
    const plain = why.replace(/[\p{C}\s]+/gu, ' ').slice(0, 300);
    const problem = `${this.path}: ${plain}`;
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.log.error({ problem }, 'the GPUs’ state file cannot be used');
  }
}

function sameIndices(listed: readonly number[] | undefined, sorted: readonly number[]): boolean {
  return listed?.length === sorted.length && sorted.every((index) => listed.includes(index));
}

async function readText(path: string): Promise<string> {
  // Not to wait for a writer, should it be a pipe.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw new Error('is no file');
    if (stat.size > maxBytes) throw new Error(`larger than ${maxBytes} bytes`);
    return await readAll(file);
  } finally {
    await file.close();
  }
}

async function readAll(file: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
  return buffer.toString('utf8', 0, bytesRead);
}

async function isWritable(path: string): Promise<boolean> {
  try {
    await (await open(path, 'r+')).close();
    return true;
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}

/** Whole or not at all; where the folder is closed to us, in place, which a reader may see half-done. */
async function writeText(path: string, text: string): Promise<void> {
  const fresh = `${path}.${randomBytes(6).toString('hex')}.new`;
  try {
    const file = await open(fresh, 'wx', 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    if (!['EACCES', 'EPERM', 'EROFS'].includes(errnoOf(error) ?? '')) throw error;
    await writeInPlace(path, text);
  }
}

async function writeInPlace(path: string, text: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const { bytesWritten } = await file.write(text, 0);
    await file.truncate(bytesWritten);
    await file.sync();
  } finally {
    await file.close();
  }
}
