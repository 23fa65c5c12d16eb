import type { Logger } from 'pino';
import { AppError } from '../errors.js';

/** Most that is kept of each kind, and logged of one scan. */
const shown = 100;
const logged = 20;
/** Problems that are kept of one scan; the others are counted. Whoever writes manifests could else fill the memory with them. */
const maxProblems = 1000;
const maxCharacters = 500;

export interface ScanIssue {
  /** Milliseconds since 1970. */
  at: number;
  /** The project, file or job that it is about; null for the route as a whole. */
  where: string | null;
  message: string;
}

/** What a scan found; `more` is how many are not kept. */
interface Problems {
  first: ScanIssue[];
  more: number;
}

const none = (): Problems => ({ first: [], more: 0 });

/** What goes wrong on one route: what its last scan found, and what failed since the start and is tried again. */
export class ScanIssues {
  readonly #source: string;
  readonly #now: () => number;
  readonly #log: Logger;

  #total = 0;
  #errors: ScanIssue[] = [];
  #found = none();
  #finding = none();

  constructor(source: string, now: () => number, log: Logger) {
    this.#source = source;
    this.#now = now;
    this.#log = log;
  }

  /** All there were since the start, problems of a scan and failures alike. */
  get total(): number {
    return this.#total;
  }

  /** The newest first, at most 100. */
  get errors(): readonly ScanIssue[] {
    return this.#errors.toReversed();
  }

  /** The first of the last scan that came to its end, at most 100. */
  get problems(): readonly ScanIssue[] {
    return this.#found.first.slice(0, shown);
  }

  /** All of that scan. */
  get problemCount(): number {
    return this.#found.first.length + this.#found.more;
  }

  /** Something failed, and is tried again. */
  failed(where: string | null, error: unknown): void {
    const issue = this.#issue(where, textOf(error));
    this.#total += 1;
    this.#errors = [...this.#errors, issue].slice(-shown);
    const cause = typeof error === 'string' ? undefined : error;
    this.#log.warn({ route: this.#source, where: issue.where, err: cause }, issue.message);
  }

  beginScan(): void {
    this.#finding = none();
  }

  problem(where: string, message: string): void {
    const { first } = this.#finding;
    if (first.length < maxProblems) first.push(this.#issue(where, message));
    else this.#finding.more += 1;
  }

  /** Logs what was not so the last time. */
  endScan(): void {
    const known = new Set(this.#found.first.map(nameOf));
    const fresh = this.#finding.first.filter((issue) => !known.has(nameOf(issue)));
    const freshCount = fresh.length + Math.max(0, this.#finding.more - this.#found.more);
    for (const { where, message } of fresh.slice(0, logged))
      this.#log.warn({ route: this.#source, where, problem: message }, 'ingest: skipped');
    if (freshCount > logged)
      this.#log.warn({ route: this.#source }, `ingest: ${freshCount - logged} more problems`);
    this.#total += freshCount;
    this.#found = this.#finding;
    this.#finding = none();
  }

  #issue(where: string | null, message: string): ScanIssue {
    return {
      at: this.#now(),
      where: where === null ? null : plain(where),
      message: plain(message),
    };
  }
}

function nameOf({ where, message }: ScanIssue): string {
  return JSON.stringify([where, message]);
}

function textOf(error: unknown): string {
  if (typeof error === 'string') return error;
  if (error instanceof AppError || error instanceof Error) return error.message || error.name;
  return String(error);
}

/** One line of bounded length: what stands out there is not ours. */
function plain(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]+/gu, ' ').trim();
  return line.length > maxCharacters ? `${line.slice(0, maxCharacters)}…` : line;
}
