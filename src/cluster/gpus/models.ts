import { readFileSync, statSync } from 'node:fs';
import type { Logger } from 'pino';
import { z } from 'zod';
import { errnoOf } from '../../errors.js';

const need = z.number().positive().max(1024);

/** Schema of `llm_config.json`: the GPUs, or the part of one, that each model needs. */
const schema = z.object({
  default_requirement: need.default(1),
  models: z.record(z.string(), need).default({}),
});

type ModelTable = z.infer<typeof schema>;

/**
 * The table of models, read again whenever its file changes; a broken file leaves the last good
 * table in use.
 */
export class ModelNeeds {
  readonly #path: string;
  readonly #log: Logger;

  #table: ModelTable = { default_requirement: 1, models: {} };
  #stamp = '';
  #problem: string | null = null;

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** Returns why the current file is not used; null if it is used, or does not exist. */
  get problem(): string | null {
    this.#refresh();
    return this.#problem;
  }

  /**
   * Returns the GPUs for that model: a fraction of one, or a whole number (above 1, rounded up).
   */
  gpusFor(model: string): number {
    this.#refresh();
    const { models, default_requirement: usual } = this.#table;
    const wanted = Object.hasOwn(models, model) ? (models[model] ?? usual) : usual;
    return wanted > 1 ? Math.ceil(wanted) : wanted;
  }

  #refresh(): void {
    let stamp: string;
    try {
      const { mtimeMs, size, ino } = statSync(this.#path);
      stamp = `${mtimeMs} ${size} ${ino}`;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') return this.#keepLast('', error);
      stamp = '';
    }
    if (stamp === this.#stamp) return;
    try {
      this.#table = schema.parse(stamp === '' ? {} : JSON.parse(readFileSync(this.#path, 'utf8')));
      this.#problem = null;
      this.#stamp = stamp;
    } catch (error) {
      this.#keepLast(stamp, error);
    }
  }

  #keepLast(stamp: string, error: unknown): void {
    this.#stamp = stamp;
    const why = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    const problem = `${this.#path}: ${why.replace(/\s+/g, ' ')}`;
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#log.error({ problem }, 'the table of models cannot be read; the last good one is used');
  }
}

/**
 * Finds the model that a command line names, `--llm X` or `--llm=X`; the last one counts, as in
 * most parsers.
 */
export function modelInArguments(args: readonly string[]): string | undefined {
  let model: string | undefined;
  args.forEach((arg, i) => {
    if (arg === '--llm') model = args[i + 1] ?? model;
    else if (arg.startsWith('--llm=')) model = arg.slice('--llm='.length);
  });
  return model === '' ? undefined : model;
}
