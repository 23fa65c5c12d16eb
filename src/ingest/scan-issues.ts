import type { Logger } from 'pino';
import { AppError } from '../errors.js';

/** Maximum of errors kept and problems shown; maximum of problems logged for one scan. */
const shown = 100;
const logged = 20;
/**
 * Problems kept of one scan; further ones are only counted. Otherwise the writers of manifests
 * could fill the memory.
 */
const maxProblems = 1000;
const maxCharacters = 500;

export interface ScanIssue {
  /** Milliseconds since 1970. */
  at: number;
  /** The project, file or job; null for the source as a whole. */
  where: string | null;
  message: string;
}

/** Problems of a scan; `more` counts those that are not kept. */
interface Problems {
  first: ScanIssue[];
  more: number;
}

const none = (): Problems => ({ first: [], more: 0 });

/**
 * Collects what goes wrong in one ingest source: problems of the last scan, and failures since the
 * start that are retried.
 */
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

  /** Number of problems and failures since the start. */
  get total(): number {
    return this.#total;
  }

  /** Failures, newest first; at most 100. */
  get errors(): readonly ScanIssue[] {
    return this.#errors.toReversed();
  }

  /** Problems of the last complete scan; at most 100. */
  get problems(): readonly ScanIssue[] {
    return this.#found.first.slice(0, shown);
  }

  /** Number of problems of that scan. */
  get problemCount(): number {
    return this.#found.first.length + this.#found.more;
  }

  /** Records a failure that is retried. */
  failed(where: string | null, error: unknown): void {
    const issue = this.#issue(where, textOf(error));
    this.#total += 1;
    this.#errors = [...this.#errors, issue].slice(-shown);
    const cause = typeof error === 'string' ? undefined : error;
    this.#log.warn({ source: this.#source, where: issue.where, err: cause }, issue.message);
  }

  beginScan(): void {
    this.#finding = none();
  }

  problem(where: string, message: string): void {
    const { first } = this.#finding;
    if (first.length < maxProblems) first.push(this.#issue(where, message));
    else this.#finding.more += 1;
  }

  /** Ends the scan and logs the problems that the scan before did not have. */
  endScan(): void {
    const known = new Set(this.#found.first.map(nameOf));
    const fresh = this.#finding.first.filter((issue) => !known.has(nameOf(issue)));
    const freshCount = fresh.length + Math.max(0, this.#finding.more - this.#found.more);
    for (const { where, message } of fresh.slice(0, logged))
      this.#log.warn({ source: this.#source, where, problem: message }, 'ingest: skipped');
    if (freshCount > logged)
      this.#log.warn({ source: this.#source }, `ingest: ${freshCount - logged} more problems`);
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

/** Makes one line of bounded length: the text comes from outside. */
function plain(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]+/gu, ' ').trim();
  return line.length > maxCharacters ? `${line.slice(0, maxCharacters)}…` : line;
}
