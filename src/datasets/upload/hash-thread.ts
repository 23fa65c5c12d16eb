import { Worker } from 'node:worker_threads';
import type { Slab } from './slab-pool.js';

/**
 * Bytes given to one write(2). Larger writes make the kernel (6.x on ext4) look for large pages, which on virtual machines
 * that hand free memory back to their host have to be fetched again: 1 GiB then takes 2.5 s of system time, not 0.6 s.
 */
const WRITE_BYTES = 32 * 1024;

/**
 * The thread's program. It is kept as text because a file of its own would have to be found under two names,
 * compiled and not.
 */
const PROGRAM = `
const { parentPort } = require('node:worker_threads');
const { createHash } = require('node:crypto');
const { writeSync } = require('node:fs');
const hashes = new Map();
function write(fd, bytes, position) {
  for (let done = 0; done < bytes.length; )
    done += writeSync(fd, bytes, done, Math.min(${WRITE_BYTES}, bytes.length - done), position + done);
}
function work({ id, slab, length, to, end }) {
  if (slab) {
    let hash = hashes.get(id);
    if (!hash) hashes.set(id, (hash = createHash('sha256')));
    const bytes = slab.subarray(0, length);
    hash.update(bytes);
    if (to) write(to.fd, bytes, to.position);
    return {};
  }
  const hash = hashes.get(id) ?? createHash('sha256');
  hashes.delete(id);
  return { digest: end ? hash.digest('hex') : '' };
}
parentPort.on('message', (message) => {
  const { id, slab } = message;
  let answer;
  try {
    answer = work(message);
  } catch (error) {
    answer = { error: { message: error.message, code: error.code } };
  }
  parentPort.postMessage({ id, slab, ...answer }, slab ? [slab.buffer] : []);
});
`;

/** Where bytes that are hashed are written as well. */
export interface WriteTo {
  fd: number;
  position: number;
}

type Question = { slab: Slab; length: number; to: WriteTo | undefined } | { end: boolean };

interface Answer {
  id: number;
  /** The memory comes back with the answer. */
  slab?: Slab;
  digest?: string;
  error?: { message: string; code?: string };
}

interface Waiting {
  onBack: ((slab: Slab) => void) | undefined;
  resolve: (digest: string) => void;
  reject: (error: Error) => void;
}

/** One SHA-256 under way on the thread. */
export interface Hashing {
  /**
   * Adds the first `length` bytes of a slab, and writes them if told where to. The slab goes over to the thread, uncopied;
   * `onBack` gets it when the thread is done with it. Rejects with the write's error, which has its errno as `code`.
   */
  update(slab: Slab, length: number, onBack: (slab: Slab) => void, to?: WriteTo): Promise<unknown>;
  /** Lower-case hexadecimal. */
  digest(): Promise<string>;
  /** Lets go of a hash nobody wants any more. */
  drop(): Promise<unknown>;
}

/** Computes SHA-256, and writes what it hashes, beside the event loop, which goes on receiving meanwhile. */
export class HashThread {
  private worker: Worker | undefined;
  private lastId = 0;
  /** By hash, in the order asked: the thread answers in that order. */
  private readonly waiting = new Map<number, Waiting[]>();

  begin(): Hashing {
    const id = ++this.lastId;
    this.worker ??= this.start();
    const worker = this.worker;
    return {
      update: (slab, length, onBack, to) => this.ask(worker, id, { slab, length, to }, onBack),
      digest: () => this.ask(worker, id, { end: true }),
      drop: () => this.ask(worker, id, { end: false }),
    };
  }

  async close(): Promise<void> {
    const worker = this.worker;
    this.worker = undefined;
    await worker?.terminate();
  }

  private ask(
    worker: Worker,
    id: number,
    question: Question,
    onBack?: (slab: Slab) => void,
  ): Promise<string> {
    return new Promise((resolve, reject) => {
      // A thread started since then knows nothing of the bytes before.
      if (this.worker !== worker) throw new Error('the hashing thread has ended');
      const queue = this.waiting.get(id) ?? [];
      queue.push({ onBack, resolve, reject });
      this.waiting.set(id, queue);
      worker.postMessage({ id, ...question }, 'slab' in question ? [question.slab.buffer] : []);
    });
  }

  private start(): Worker {
    const worker = new Worker(PROGRAM, { eval: true, name: 'sha256', env: {}, execArgv: [] });
    // An idle thread is no reason to stay up.
    worker.unref();
    worker.on('message', ({ id, slab, digest, error }: Answer) => {
      const queue = this.waiting.get(id);
      const first = queue?.shift();
      if (queue?.length === 0) this.waiting.delete(id);
      if (slab) first?.onBack?.(slab);
      if (error) first?.reject(Object.assign(new Error(error.message), { code: error.code }));
      else first?.resolve(digest ?? '');
    });
    const fail = (error: Error) => {
      if (this.worker === worker) this.worker = undefined;
      const all = [...this.waiting.values()].flat();
      this.waiting.clear();
      for (const { reject } of all) reject(error);
    };
    worker.on('error', fail);
    worker.on('exit', () => fail(new Error('the hashing thread has ended')));
    return worker;
  }
}
