import { Worker } from 'node:worker_threads';
import { compiledProgram } from '../config/package-root.js';
import type { DigestAnswer, DigestTask } from './digest-thread-main.js';

const PROGRAM = compiledProgram('outputs/digest-thread-main.js');
/** More threads would make the disk seek, and take the processor from jobs. */
const maxThreads = 2;
/**
 * Bytes of a file that are hashed before the thread turns to the next file: a fraction of a second,
 * also for holes, whose zeros are part of the SHA-256.
 */
const sliceBytes = 32 * 2 ** 20;

type HashTask = DigestTask & { kind: 'hash' };

/** Computes SHA-256 of opened files on a few threads. All files that it hashes take turns. */
export class DigestThreads {
  readonly #threads: DigestThread[] = [];
  #lastId = 0;

  /**
   * Hashes the first `size` bytes; fewer when the file ends earlier. The caller keeps the
   * descriptor open until this settles.
   * @returns lower-case hexadecimal
   * @throws AbortError when the signal is aborted; the error of a read
   */
  async digest(fd: number, size: number, signal: AbortSignal): Promise<string> {
    const id = ++this.#lastId;
    const thread = this.#idlest();
    thread.files += 1;
    try {
      for (let from = 0; ; from += sliceBytes) {
        signal.throwIfAborted();
        const to = Math.min(size, from + sliceBytes);
        const digest = await thread.hash({ id, kind: 'hash', fd, from, to, isLast: to === size });
        if (digest !== undefined) return digest;
      }
    } finally {
      thread.files -= 1;
      thread.drop(id);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.splice(0).map((thread) => thread.end()));
  }

  #idlest(): DigestThread {
    const [least] = this.#threads.toSorted((a, b) => a.files - b.files);
    if (least !== undefined && (least.files === 0 || this.#threads.length === maxThreads))
      return least;
    const thread = new DigestThread(() => {
      const at = this.#threads.indexOf(thread);
      if (at >= 0) this.#threads.splice(at, 1);
    });
    this.#threads.push(thread);
    return thread;
  }
}

interface Waiting {
  resolve: (digest: string | undefined) => void;
  reject: (error: Error) => void;
}

class DigestThread {
  /** Files that are being hashed on it. */
  files = 0;
  readonly #worker = new Worker(PROGRAM, { name: 'outputs', env: {}, execArgv: [] });
  /** By file: each has at most one slice with the thread, so the files take turns. */
  readonly #waiting = new Map<number, Waiting>();
  /** Why the thread has ended; it answers nothing more then. */
  #fault: Error | undefined;

  constructor(onEnd: () => void) {
    // An idle thread must not keep the process alive.
    this.#worker.unref();
    this.#worker.on('message', ({ id, digest, error }: DigestAnswer) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiting?.reject(Object.assign(new Error(error.message), { code: error.code }));
      else waiting?.resolve(digest);
    });
    const fail = (error: Error) => {
      this.#fault ??= error;
      onEnd();
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    };
    this.#worker.on('error', fail);
    this.#worker.on('exit', () => fail(new Error('the hashing thread has ended')));
  }

  hash(task: HashTask): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#fault !== undefined) {
        reject(this.#fault);
        return;
      }
      this.#waiting.set(task.id, { resolve, reject });
      this.#worker.postMessage(task);
    });
  }

  drop(id: number): void {
    this.#worker.postMessage({ id, kind: 'drop' } satisfies DigestTask);
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}
