import { Worker } from 'node:worker_threads';
import { compiledProgram } from '../../config/package-root.js';
import type { PooledBuffer } from './buffer-pool.js';
import type { HashAnswer, HashTask, WriteTarget } from './hash-thread-main.js';

const PROGRAM = compiledProgram('datasets/upload/hash-thread-main.js');

interface Waiting {
  onBack: ((buffer: PooledBuffer) => void) | undefined;
  resolve: (digest: string) => void;
  reject: (error: Error) => void;
}

/** One SHA-256 under way on the thread. */
export interface Hashing {
  /**
   * Adds the first `length` bytes of a buffer, and writes them to `target` if there is one. The
   * buffer moves to the thread without a copy; `onBack` gets it once the thread is done with it.
   * Rejects with the write's error, which has its errno as `code`.
   */
  update(
    buffer: PooledBuffer,
    length: number,
    onBack: (buffer: PooledBuffer) => void,
    target?: WriteTarget,
  ): Promise<unknown>;
  /** Returns lower-case hexadecimal. */
  digest(): Promise<string>;
  /** Forgets a hash that is no longer wanted. */
  drop(): Promise<unknown>;
}

/**
 * Computes SHA-256, and writes the hashed bytes, on a thread of its own: the event loop receives
 * more of them meanwhile.
 */
export class HashThread {
  #worker: Worker | undefined;
  #lastId = 0;
  /** By hash, oldest task first: the thread answers in that order. */
  readonly #waiting = new Map<number, Waiting[]>();

  begin(): Hashing {
    const id = ++this.#lastId;
    this.#worker ??= this.#start();
    const worker = this.#worker;
    return {
      update: (buffer, length, onBack, target) =>
        this.#ask(worker, { id, kind: 'update', buffer, length, target }, onBack),
      digest: () => this.#ask(worker, { id, kind: 'digest' }),
      drop: () => this.#ask(worker, { id, kind: 'drop' }),
    };
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  #ask(worker: Worker, task: HashTask, onBack?: Waiting['onBack']): Promise<string> {
    return new Promise((resolve, reject) => {
      // A thread that was started since then lacks the earlier bytes.
      if (this.#worker !== worker) throw threadEnded();
      const queue = this.#waiting.get(task.id) ?? [];
      queue.push({ onBack, resolve, reject });
      this.#waiting.set(task.id, queue);
      worker.postMessage(task, task.kind === 'update' ? [task.buffer.buffer] : []);
    });
  }

  #start(): Worker {
    const worker = new Worker(PROGRAM, { name: 'sha256', env: {}, execArgv: [] });
    // An idle thread must not keep the process alive.
    worker.unref();
    worker.on('message', (answer: HashAnswer) => this.#settle(answer));
    const fail = (error: Error) => {
      if (this.#worker === worker) this.#worker = undefined;
      const all = [...this.#waiting.values()].flat();
      this.#waiting.clear();
      for (const { reject } of all) reject(error);
    };
    worker.on('error', fail);
    worker.on('exit', () => fail(threadEnded()));
    return worker;
  }

  #settle({ id, buffer, digest, error }: HashAnswer): void {
    const queue = this.#waiting.get(id);
    const first = queue?.shift();
    if (queue?.length === 0) this.#waiting.delete(id);
    if (buffer) first?.onBack?.(buffer);
    if (error) first?.reject(Object.assign(new Error(error.message), { code: error.code }));
    else first?.resolve(digest ?? '');
  }
}

function threadEnded(): Error {
  return new Error('the hashing thread has ended');
}
