import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { AppError, errnoOf } from '../../errors.js';

/** What stands in a file is not ours: a small one can take the parser minutes, or all memory, which a thread can be spared. */
const defaultLimits = { ms: 20_000, heapMb: 256 };
/** Most that a file may unfold to, as JSON. */
const maxUnfolded = 16 * 1024 ** 2;
/** How many values aliases may stand for; the parser counts what is nested, too. */
const maxAliases = 100;

/**
 * The thread's program, kept as text because a file of its own would have to be found under two names, compiled and not. It reads YAML 1.1 as PyYAML does, which
 * the other readers and writers of these files are made with: `yes` is true, but `y` is a text (pyyaml.org/wiki/PyYAMLDocumentation). Dates stay as they are
 * written; binary data, sets and ordered maps, which JSON cannot say, are no tags. The parser's own test for keys that come twice compares each with each.
 */
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads');
const { isMap, isScalar, parseDocument, visit } = require(workerData.yaml);
const bool = (value, test) => ({
  identify: (given) => given === value, default: true, tag: 'tag:yaml.org,2002:bool', test, resolve: () => value,
});
const bools = [
  bool(true, /^(?:yes|Yes|YES|true|True|TRUE|on|On|ON)$/),
  bool(false, /^(?:no|No|NO|false|False|FALSE|off|Off|OFF)$/),
];
const customTags = (tags) => [
  ...bools,
  ...tags.filter((tag) => typeof tag === 'string' || !/:(?:bool|timestamp|binary|set|omap|pairs)$/.test(tag.tag)),
];
function read(text) {
  const document = parseDocument(text, { version: '1.1', customTags, logLevel: 'error', uniqueKeys: false });
  if (document.errors.length > 0) throw document.errors[0];
  visit(document, {
    Map(_, map) {
      const seen = new Set();
      for (const { key } of map.items) {
        const name = isScalar(key) ? String(key.value) : undefined;
        if (name === undefined || name === '<<') continue;
        if (seen.has(name)) throw new Error('the key ' + JSON.stringify(name.slice(0, 60)) + ' comes twice');
        seen.add(name);
      }
    },
  });
  const json = JSON.stringify(document.toJS({ maxAliasCount: ${maxAliases} })) ?? 'null';
  if (json.length > ${maxUnfolded}) throw new Error('it unfolds to more than ${maxUnfolded / 1024 ** 2} MiB');
  return json;
}
parentPort.on('message', (text) => {
  let answer;
  try {
    answer = { json: read(text) };
  } catch (error) {
    answer = { error: String(error.message) };
  }
  parentPort.postMessage(answer);
});
`;

type Answer = { json: string } | { error: string };

/** Reads YAML on a thread of its own, one text after the other. Started when first asked, and again after a text that took too much. */
export class YamlThread {
  #worker: Worker | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(private readonly limits = defaultLimits) {}

  /**
   * @returns what JSON can say of it.
   * @throws AppError unprocessable when it is not YAML, holds a key twice, or takes more time or memory than a file of ours can.
   */
  read(text: string): Promise<unknown> {
    const turn = this.#last.then(() => this.#ask(text));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Ends the thread at once; what is being read, and what would be, fails. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#end();
  }

  async #ask(text: string): Promise<unknown> {
    const answer = await this.#answerTo(text);
    if ('json' in answer) return JSON.parse(answer.json);
    throw new AppError('unprocessable', `not YAML that can be used: ${oneLine(answer.error)}`);
  }

  async #answerTo(text: string): Promise<Answer> {
    if (this.#closed) throw new Error('the thread that reads YAML is closed');
    const { ms, heapMb } = this.limits;
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
        Answer,
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
      eval: true,
      name: 'yaml',
      env: {},
      execArgv: [],
      workerData: { yaml: createRequire(import.meta.url).resolve('yaml') },
      resourceLimits: { maxOldGenerationSizeMb: this.limits.heapMb },
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
