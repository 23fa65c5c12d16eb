import { readGitQueueCommand } from '../../config/git-queue.js';
import { AppError } from '../../errors.js';
import { parseCommandLine } from '../../ingest/git-queue/command-line.js';
import { resetJobs } from '../../ingest/git-queue/transitions.js';
import { GitError } from '../../ingest/git-queue/git.js';
import { digestOf } from '../../ingest/git-queue/queue-file.js';
import { CliError } from '../cli-error.js';
import { note, plain, say, table } from '../terminal.js';
import { openQueue, type OpenedQueue, type QueueOptions } from './open-queue.js';
import { listJobs } from './show-list.js';

export type AddOptions = QueueOptions;
export type ListOptions = QueueOptions & { status?: string; json?: boolean };
export type ResetOptions = QueueOptions & { status?: string };

/** Appends a job. */
export async function addToQueue(command: string, options: AddOptions): Promise<void> {
  await withQueue(options, true, async ({ queue }) => {
    const job = parseCommandLine(command);
    const digest = digestOf(job);
    const line = await queue.change((state) => {
      const file = state.file.withJob(job);
      const row = file.rows.at(-1);
      if (row?.digest !== digest) throw new Error('the new row cannot be read back');
      return {
        result: row.line,
        change: { message: `Add ${job.script}`, records: new Map(), file },
      };
    });
    say(`${queue.parts.queueFile}:${line}: ${job.script} ${job.args} ${job.kwargs} ready`);
  });
}

export async function listQueue(options: ListOptions): Promise<void> {
  await withQueue(options, false, async ({ queue }) => {
    const state = await queue.look();
    const jobs = listJobs(state, options.status);
    for (const { where, message } of state.problems) note(plain(`${where}: ${message}`));
    if (options.json) return say(JSON.stringify(jobs, null, 2));
    const rows = jobs.map((job) => [
      String(job.line),
      job.status,
      job.attempts === 0 ? '-' : String(job.attempts),
      job.worker ?? '-',
      job.script,
      job.args,
      job.kwargs,
      job.message ?? '',
    ]);
    const head = ['LINE', 'STATUS', 'ATTEMPTS', 'WORKER', 'SCRIPT', 'ARGS', 'KWARGS', 'WHY'];
    say(rows.length === 0 ? 'no jobs' : table([head, ...rows]));
  });
}

export async function resetQueue(lines: string[], options: ResetOptions): Promise<void> {
  const bad = lines.find((line) => !/^\d{1,7}$/.test(line));
  if (bad !== undefined) throw new CliError(`line: expected a number, got ${bad}`);
  if (lines.length === 0 && options.status === undefined)
    throw new CliError('name the jobs by their lines, or by --status such as running');
  await withQueue(options, false, async ({ queue }) => {
    const meant = new Set(lines.map(Number));
    const state = await queue.look();
    const unknown = [...meant].filter((line) => !state.file.rows.some((row) => row.line === line));
    if (unknown.length > 0) throw new CliError(`there is no job in line ${unknown.join(', ')}`);
    // Find rows by their content: line numbers change when rows are added above.
    const chosen = state.file.rows.filter(
      (row) =>
        (meant.size === 0 || meant.has(row.line)) &&
        (options.status === undefined || row.status === options.status),
    );
    const seen = new Map<string, number>();
    for (const { digest, status } of chosen)
      seen.set(`${digest} ${status}`, (seen.get(`${digest} ${status}`) ?? 0) + 1);
    const rows = await queue.change((now) => {
      const left = new Map(seen);
      return resetJobs(now, ({ digest, status }) => {
        const count = left.get(`${digest} ${status}`) ?? 0;
        left.set(`${digest} ${status}`, count - 1);
        return count > 0;
      });
    });
    say(rows.length === 1 ? '1 job is ready again' : `${rows.length} jobs are ready again`);
  });
}

/**
 * Opens a queue, works on it, and closes it. Shows errors of git and of the queue's file as one
 * line.
 */
export async function withQueue(
  options: QueueOptions,
  mayCreate: boolean,
  work: (opened: OpenedQueue) => Promise<void>,
): Promise<void> {
  try {
    const opened = await openQueue(options, readGitQueueCommand(), mayCreate);
    try {
      await work(opened);
    } finally {
      await opened.repository.close();
    }
  } catch (error) {
    if (error instanceof AppError || error instanceof GitError)
      throw new CliError(error.message, { cause: error });
    throw error;
  }
}
