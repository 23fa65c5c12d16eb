import type { Logger } from 'pino';
import { AppError } from '../errors.js';

/** Most that is kept of each kind, and logged of one scan. */
const shown = 100;
const logged = 20;
/** Problems that are kept of one scan; the others are counted. Whoever writes manifests could else fill the memory with them. */
const mostFound = 1000;
const mostCharacters = 500;

export interface Trouble {
  /** Milliseconds since 1970. */
  at: number;
  /** The project, file or job that it is about; null for the route as a whole. */
  where: string | null;
  message: string;
}

/** What a scan found; `more` is how many are not kept. */
interface Problems {
  first: Trouble[];
  more: number;
}

const none = (): Problems => ({ first: [], more: 0 });

/** What goes wrong on one route: what its last scan found, and what failed since the start and is tried again. */
export class Troubles {
  readonly #route: string;
  readonly #now: () => number;
  readonly #log: Logger;

  #total = 0;
  #errors: Trouble[] = [];
  #found = none();
  #finding = none();

  constructor(route: string, now: () => number, log: Logger) {
    this.#route = route;
    this.#now = now;
    this.#log = log;
  }

  /** All there were since the start, problems of a scan and failures alike. */
  get total(): number {
    return this.#total;
  }

  /** The newest first, at most 100. */
  get errors(): readonly Trouble[] {
    return this.#errors.toReversed();
  }

  /** The first of the last scan that came to its end, at most 100. */
  get problems(): readonly Trouble[] {
    return this.#found.first.slice(0, shown);
  }

  /** All of that scan. */
  get problemCount(): number {
    return this.#found.first.length + this.#found.more;
  }

  /** Something failed, and is tried again. */
  failed(where: string | null, error: unknown): void {
    const trouble = this.#trouble(where, wordsOf(error));
    this.#total += 1;
    this.#errors = [...this.#errors, trouble].slice(-shown);
    const cause = typeof error === 'string' ? undefined : error;
    this.#log.warn({ route: this.#route, where: trouble.where, err: cause }, trouble.message);
  }

  beginScan(): void {
    this.#finding = none();
  }

  problem(where: string, message: string): void {
    const { first } = this.#finding;
    if (first.length < mostFound) first.push(this.#trouble(where, message));
    else this.#finding.more += 1;
  }

  /** Logs what was not so the last time. */
  endScan(): void {
    const known = new Set(this.#found.first.map(nameOf));
    const fresh = this.#finding.first.filter((trouble) => !known.has(nameOf(trouble)));
    const freshCount = fresh.length + Math.max(0, this.#finding.more - this.#found.more);
    for (const { where, message } of fresh.slice(0, logged))
      this.#log.warn({ route: this.#route, where, problem: message }, 'ingest: skipped');
    if (freshCount > logged)
      this.#log.warn({ route: this.#route }, `ingest: ${freshCount - logged} more problems`);
    this.#total += freshCount;
    this.#found = this.#finding;
    this.#finding = none();
  }

  #trouble(where: string | null, message: string): Trouble {
    return {
      at: this.#now(),
      where: where === null ? null : plain(where),
      message: plain(message),
    };
  }
}

function nameOf({ where, message }: Trouble): string {
  return JSON.stringify([where, message]);
}

function wordsOf(error: unknown): string {
  if (typeof error === 'string') return error;
  if (error instanceof AppError || error instanceof Error) return error.message || error.name;
  return String(error);
}

/** One line of bounded length: what stands out there is not ours. */
function plain(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]+/gu, ' ').trim();
  return line.length > mostCharacters ? `${line.slice(0, mostCharacters)}…` : line;
}
