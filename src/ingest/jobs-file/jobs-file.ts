import { watch, type FSWatcher } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { errnoOf } from '../../errors.js';
import type { JobsFileView } from '../replies.js';
import { scan, type ScanParts, type ScanResult } from './scan.js';
import { isoTime } from '../../iso-time.js';

/** Maximum of problems shown, and of new problems logged at a time. */
const shownProblems = 100;
const loggedProblems = 20;
/**
 * Minimum pause before a scan, so that several writes in a row cause one. The pause grows with the
 * time that the last scan took.
 */
const pauseMs = 50;
const pausePerScanTime = 5;

export interface JobsFileParts extends Omit<ScanParts, 'forgetAfterMs'> {
  seconds: number;
  /** While this is true, no line is submitted. */
  isPaused: () => boolean;
  now: () => number;
}

/**
 * Submits the lines that users append to the jobs file.
 * Watches the folder, since the file may be replaced, removed or not yet there. Also polls every
 * `seconds`, since some file systems send no events.
 */
export class JobsFile {
  readonly #parts: JobsFileParts;
  readonly #closing = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #watcher: { watcher: FSWatcher; folder: string } | undefined;
  #watchProblem = '';
  #running: Promise<void> | undefined;
  #again = false;
  #stamp = '';
  #problemTotal = 0;
  #last: (ScanResult & { at: number; ms: number }) | undefined;

  constructor(parts: JobsFileParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#poll(), this.#parts.seconds * 1000);
    void this.#poll();
  }

  /** Stops after the line that is being submitted. */
  async close(): Promise<void> {
    this.#closing.abort();
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
    this.#watcher?.watcher.close();
    await this.#running;
  }

  /** Call this when a pause ends. */
  resumed(): void {
    void this.#poll();
  }

  /** Number of line problems since the start; a lasting problem counts once. */
  get problemTotal(): number {
    return this.#problemTotal;
  }

  get lastScan(): (ScanResult & { at: number; ms: number }) | undefined {
    return this.#last;
  }

  status(): JobsFileView {
    const last = this.#last;
    const problems = last?.problems ?? [];
    return {
      path: this.#parts.path,
      present: last?.present ?? false,
      lines: last?.lines ?? 0,
      submitted: last?.submitted ?? 0,
      unfinished_line: last?.unfinished ?? null,
      problems: problems.slice(0, shownProblems),
      problem_count: problems.length,
      last_scan: last === undefined ? null : isoTime(last.at),
    };
  }

  /** Scans if the file has changed, or if time may settle something. */
  async #poll(): Promise<void> {
    if (this.#parts.isPaused()) return;
    try {
      await this.#watchFolder();
      const stamp = await stampOf(this.#parts.path);
      const settled = this.#last?.worthRetrying === false && !this.#parts.processed.hasGone;
      if (stamp !== this.#stamp || !settled) this.#scanSoon();
    } catch (error) {
      this.#parts.log.error({ err: error }, 'jobs file: polling failed');
    }
  }

  #scanSoon(): void {
    if (this.#closing.signal.aborted) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#soon ??= setTimeout(
      () => {
        this.#soon = undefined;
        // Forget the stamp, so that the poll after the pause reads the file.
        if (this.#parts.isPaused()) {
          this.#stamp = '';
          return;
        }
        this.#running = this.#scan().finally(() => {
          this.#running = undefined;
          if (!this.#again) return;
          this.#again = false;
          this.#scanSoon();
        });
      },
      Math.min(
        this.#parts.seconds * 1000,
        Math.max(pauseMs, (this.#last?.ms ?? 0) * pausePerScanTime),
      ),
    );
  }

  async #scan(): Promise<void> {
    const { path, seconds, now, log } = this.#parts;
    const at = now();
    try {
      // Read before the file is: a write in between then changes the stamp.
      this.#stamp = await stampOf(path);
      const result = await scan(
        { ...this.#parts, forgetAfterMs: seconds * 1000 },
        this.#closing.signal,
      );
      this.#report(result);
      this.#last = { ...result, at, ms: now() - at };
    } catch (error) {
      // Read again after the interval.
      this.#stamp = '';
      log.error({ err: error }, 'jobs file: reading failed');
    }
  }

  /** Logs the problems that the last scan did not have. */
  #report(result: ScanResult): void {
    const known = new Set(this.#last?.problems.map((p) => `${p.line} ${p.message}`));
    const fresh = result.problems.filter((p) => !known.has(`${p.line} ${p.message}`));
    this.#problemTotal += fresh.length;
    for (const { line, message } of fresh.slice(0, loggedProblems))
      this.#parts.log.warn({ line, problem: message }, 'jobs file: skipped');
    if (fresh.length > loggedProblems)
      this.#parts.log.warn(`jobs file: ${fresh.length - loggedProblems} more problems`);
  }

  async #watchFolder(): Promise<void> {
    const path = dirname(this.#parts.path);
    const folder = await folderStamp(path);
    if (folder === this.#watcher?.folder || this.#closing.signal.aborted) return;
    this.#watcher?.watcher.close();
    this.#watcher = undefined;
    if (folder === '') return;
    try {
      const watcher = watch(path, { persistent: false }, (_event, name) => {
        if (name === null || name === basename(this.#parts.path)) this.#scanSoon();
      });
      watcher.on('error', (error) => this.#unwatched(error));
      this.#watcher = { watcher, folder };
      this.#watchProblem = '';
    } catch (error) {
      this.#unwatched(error);
    }
  }

  /** inotify may run out of watches; polling continues without it. */
  #unwatched(error: unknown): void {
    this.#watcher?.watcher.close();
    this.#watcher = undefined;
    const problem = errnoOf(error) ?? String(error);
    if (problem === this.#watchProblem) return;
    this.#watchProblem = problem;
    this.#parts.log.warn(
      { err: error },
      'jobs file: watching the folder failed; the file is still polled at each interval',
    );
  }
}

/**
 * Makes a stamp that changes with the file. Empty when the file is out of reach; reading it then
 * gives the reason.
 */
async function stampOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return '';
  }
}

async function folderStamp(path: string): Promise<string> {
  try {
    const { dev, ino } = await stat(path, { bigint: true });
    return `${dev} ${ino}`;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return '';
  }
}
