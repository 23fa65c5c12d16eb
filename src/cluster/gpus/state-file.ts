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

/** Changes in the file since it was last read or written. */
export interface StateChange {
  pause: number[];
  resume: number[];
}

/**
 * The file `gpu_scheduler_state.json`, an object whose `paused_gpus` lists the indices of paused
 * GPUs. Editing the list pauses and resumes GPUs; the API's own pauses are written into it. Its
 * other keys belong to other programs. An unusable file changes nothing; {@link problem} says why.
 */
export class StateFile {
  readonly #path: string;
  readonly #gpuCount: number;
  readonly #log: Logger;

  #problem: string | null = null;
  #text: string | undefined;
  /** List as last read or written. */
  #listed: number[] | undefined;

  constructor(path: string, gpuCount: number, log: Logger) {
    this.#path = path;
    this.#gpuCount = gpuCount;
    this.#log = log;
  }

  get problem(): string | null {
    return this.#problem;
  }

  /**
   * Reads the file, and returns how its list changed.
   * @param paused the GPUs paused now, with which the first list is compared
   */
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

  /** Writes the list; leaves alone an unreadable file, and a file that lists exactly these. */
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
      await writeText(this.#path, fresh);
    } catch (error) {
      this.#report(`cannot be written: ${(error as Error).message}`);
      return;
    }
    this.#text = fresh;
    this.#listed = sorted;
  }

  async #changeTo(listed: readonly number[], paused: readonly number[]): Promise<StateChange> {
    const before = this.#listed ?? paused;
    // A file that we cannot write does not list the API's pauses, so their absence means nothing.
    const isOurs = this.#listed !== undefined || (await isWritable(this.#path));
    return {
      pause: listed.filter((index) => !before.includes(index)),
      resume: isOurs ? before.filter((index) => !listed.includes(index)) : [],
    };
  }

  #parse(text: string): z.infer<typeof schema> | undefined {
    let parsed: z.infer<typeof schema>;
    try {
      // Somebody may have just made an empty file.
      parsed = schema.parse(text.trim() === '' ? {} : JSON.parse(text));
    } catch (error) {
      const why = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
      this.#report(why);
      return undefined;
    }
    const unknown = parsed.paused_gpus?.filter((i) => i < 0 || i >= this.#gpuCount) ?? [];
    if (unknown.length > 0) {
      this.#report(`paused_gpus: unknown GPU ${unknown.slice(0, 10).join(', ')}`);
      return undefined;
    }
    this.#problem = null;
    return parsed;
  }

  /** Returns undefined if the file does not exist, or cannot be read, which is reported. */
  async #readText(): Promise<string | undefined> {
    try {
      return await readText(this.#path);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') this.#problem = null;
      else this.#report(`cannot be read: ${(error as Error).message}`);
      return undefined;
    }
  }

  #report(why: string): void {
    const plain = why.replace(/[\p{C}\s]+/gu, ' ').slice(0, 300);
    const problem = `${this.#path}: ${plain}`;
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#log.error({ problem }, 'the GPUs’ state file cannot be used');
  }
}

function sameIndices(listed: readonly number[] | undefined, sorted: readonly number[]): boolean {
  return listed?.length === sorted.length && sorted.every((index) => listed.includes(index));
}

async function readText(path: string): Promise<string> {
  // O_NONBLOCK: a pipe would otherwise wait for a writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw new Error('not a regular file');
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

/**
 * Writes the file by renaming, as a whole or not at all. Without write access to the folder, writes
 * in place, which a reader may see half-done.
 */
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
