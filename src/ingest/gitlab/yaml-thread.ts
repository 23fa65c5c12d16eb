import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { compiledProgram } from '../../config/package-root.js';
import { AppError, errnoOf } from '../../errors.js';
import type { YamlAnswer } from './yaml-thread-main.js';

const PROGRAM = compiledProgram('ingest/gitlab/yaml-thread-main.js');
/** Limits for one text: even a small one can keep the parser busy for minutes or use all memory. */
const defaultLimits = { ms: 20_000, heapMb: 256 };

/**
 * Parses YAML on a separate thread, one text after another. The thread starts with the first text,
 * and again after a text that exceeded a limit.
 */
export class YamlThread {
  readonly #limits: { ms: number; heapMb: number };

  #worker: Worker | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(limits = defaultLimits) {
    this.#limits = limits;
  }

  /**
   * Parses a text.
   * @returns its value, as far as JSON can express it
   * @throws AppError unprocessable when the text is not YAML, repeats a key, or takes too much time
   *   or memory
   */
  read(text: string): Promise<unknown> {
    const turn = this.#last.then(() => this.#ask(text));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Ends the thread at once; running and later reads fail. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#end();
  }

  async #ask(text: string): Promise<unknown> {
    const answer = await this.#answerTo(text);
    if ('json' in answer) return JSON.parse(answer.json);
    throw new AppError('unprocessable', `not YAML that can be used: ${oneLine(answer.error)}`);
  }

  async #answerTo(text: string): Promise<YamlAnswer> {
    if (this.#closed) throw new Error('the thread that reads YAML is closed');
    const { ms, heapMb } = this.#limits;
    const worker = (this.#worker ??= this.#start());
    const listening = new AbortController();
    const { signal } = listening;
    const timer = setTimeout(() => listening.abort(), ms);
    try {
      worker.postMessage(text);
      const died = once(worker, 'exit', { signal }).then(() => {
        throw new Error('the thread that reads YAML ended');
      });
      const [answer] = (await Promise.race([once(worker, 'message', { signal }), died])) as [
        YamlAnswer,
      ];
      return answer;
    } catch (error) {
      await this.#end();
      if (errnoOf(error) === 'ABORT_ERR') return { error: `it takes longer than ${ms / 1000} s` };
      if (errnoOf(error) === 'ERR_WORKER_OUT_OF_MEMORY')
        return { error: `it takes more than ${heapMb} MiB` };
      throw error;
    } finally {
      clearTimeout(timer);
      listening.abort();
    }
  }

  #start(): Worker {
    return new Worker(PROGRAM, {
      name: 'yaml',
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: this.#limits.heapMb },
    });
  }

  async #end(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }
}

function oneLine(message: string): string {
  return (message.split('\n')[0] ?? '').replace(/[\p{C}\s]+/gu, ' ').slice(0, 200);
}
