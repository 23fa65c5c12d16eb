import { constants } from 'node:fs';
import { OWNER } from '../../auth/caller.js';
import { open, type FileHandle } from 'node:fs/promises';
import type { Logger } from 'pino';
import { AppError, errnoOf } from '../../errors.js';
import { modelInArguments, type ModelNeeds } from '../../cluster/gpus/models.js';
import type { JobId } from '../../jobs/job.js';
import type { JobService } from '../../jobs/service.js';
import { isBlank, maxLineBytes, parseJobLine, type JobLine } from './job-line.js';
import { maxFileBytes, readLines } from './read-lines.js';
import { scriptDigest } from './script-digest.js';
import { submitFieldsOf } from './submit-fields.js';
import { digestOfLine, type LineId, type ProcessedLines } from './processed-lines.js';

/** Maximum of bad lines. A file with more is hardly a jobs file, and its rest is not read. */
const maxProblems = 1000;

export interface Problem {
  /** From 1; null for the file as a whole. */
  line: number | null;
  message: string;
}

export interface ScanResult {
  present: boolean;
  /** Number of lines that are neither empty nor comments, as far as the file was read. */
  lines: number;
  /** Number of those lines that became jobs, now or before. */
  submitted: number;
  problems: Problem[];
  /** Number of the last line while its line end is missing. */
  unfinished: number | null;
  /** Whether a refused line may be accepted later, without a change of the file. */
  worthRetrying: boolean;
}

export interface ScanParts {
  path: string;
  jobs: Pick<JobService, 'submit'>;
  models: ModelNeeds;
  /** GPUs of this machine. */
  gpuCount: number;
  screen: boolean;
  processed: ProcessedLines;
  /** Time after which a removed line counts as new if it returns. */
  forgetAfterMs: number;
  log: Logger;
}

interface FreshLine {
  number: number;
  id: LineId;
  line: JobLine;
}

/** Reads the file once and submits its new lines in order. Ends early when `signal` fires. */
export async function scan(parts: ScanParts, signal: AbortSignal): Promise<ScanResult> {
  const result: ScanResult = {
    present: false,
    lines: 0,
    submitted: 0,
    problems: [],
    unfinished: null,
    worthRetrying: false,
  };
  const file = await openFile(parts.path, result);
  if (file === undefined) {
    if (result.problems.length === 0) parts.processed.sweep(new Map(), parts.forgetAfterMs);
    return result;
  }
  let fresh: FreshLine[];
  try {
    fresh = await readFresh(file, parts, result);
  } finally {
    await file.close();
  }
  for (const each of fresh) {
    if (signal.aborted) break;
    await submit(each, parts, result);
  }
  result.problems.sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
  return result;
}

/**
 * Opens the file.
 * @returns undefined when there is nothing to read; a missing file is no problem, any other reason
 *   is in `result.problems`
 */
async function openFile(path: string, result: ScanResult): Promise<FileHandle | undefined> {
  let file: FileHandle;
  try {
    // O_NONBLOCK: a pipe would otherwise wait for a writer.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    const remedy = code === 'EACCES' ? ': let the user jobrunner read it' : '';
    result.present = true;
    result.problems.push({
      line: null,
      message: `the file cannot be opened (${code ?? String(error)})${remedy}`,
    });
    return undefined;
  }
  result.present = true;
  if ((await file.stat()).isFile()) return file;
  await file.close();
  result.problems.push({ line: null, message: 'not a regular file' });
  return undefined;
}

async function readFresh(
  file: FileHandle,
  { processed, forgetAfterMs }: ScanParts,
  result: ScanResult,
): Promise<FreshLine[]> {
  const fresh: FreshLine[] = [];
  const counts = new Map<string, number>();
  const { end, unfinished } = await readLines(file, ({ number, bytes }) => {
    try {
      const text = toText(bytes, number);
      if (isBlank(text)) return true;
      result.lines += 1;
      const digest = digestOfLine(text);
      const nth = (counts.get(digest) ?? 0) + 1;
      counts.set(digest, nth);
      if (processed.isProcessed({ digest, nth })) result.submitted += 1;
      else fresh.push({ number, id: { digest, nth }, line: parseJobLine(text) });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      result.problems.push({ line: number, message: error.message });
    }
    return result.problems.length < maxProblems;
  });
  result.unfinished = unfinished;
  if (end === 'end') processed.sweep(counts, forgetAfterMs);
  else
    result.problems.push({
      line: null,
      message:
        end === 'stopped'
          ? `more than ${maxProblems} bad lines: this is hardly a jobs file, so the rest is not read`
          : `larger than ${maxFileBytes / 1024 ** 2} MiB: the rest is not read; start a new file`,
    });
  return fresh;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Decodes and trims a line. @throws AppError bad_request when the bytes are not a line of text */
function toText(bytes: Buffer | undefined, number: number): string {
  if (bytes === undefined)
    throw new AppError('bad_request', `longer than ${maxLineBytes / 1024} KiB`);
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch (cause) {
    throw new AppError('bad_request', 'not UTF-8 text', { cause });
  }
  if (number === 1) text = text.replace(/^\ufeff/, '');
  text = text.trim();
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(text))
    throw new AppError('bad_request', 'contains a control character');
  return text;
}

async function submit(fresh: FreshLine, parts: ScanParts, result: ScanResult): Promise<void> {
  const { processed } = parts;
  const { id, line, number } = fresh;
  let begun = false;
  try {
    const fields = submitFieldsOf(line, { screen: parts.screen, gpus: gpusFor(line, parts) });
    const contentHash = await scriptDigest(line.script);
    const idempotencyKey = processed.begin(id);
    begun = true;
    const submitted = await parts.jobs.submit(fields, {
      user: OWNER,
      contentHash,
      idempotencyKey,
    });
    if (submitted.kind === 'dry_run') throw new Error('a line cannot request a dry run');
    const { job_id: jobId } = submitted.job;
    processed.finish(id, jobId);
    result.submitted += 1;
    parts.log.info(
      { line: number, job_id: jobId, kind: submitted.kind },
      'jobs file: line submitted',
    );
  } catch (error) {
    result.problems.push({ line: number, message: messageOf(error, parts.log) });
    const jobId = error instanceof AppError ? error.details?.['job_id'] : undefined;
    // Slurm’s refusal is final, and its job stays as REJECTED.
    if (typeof jobId === 'number') processed.finish(id, jobId as JobId);
    else {
      result.worthRetrying = true;
      // After any other error the job may exist; its key shows this at the next try.
      if (begun && error instanceof AppError) processed.abandon(id);
    }
  }
}

/**
 * A job without a model in its arguments needs the default number of GPUs of the table, if this
 * machine has GPUs.
 */
function gpusFor(line: JobLine, { models, gpuCount }: ScanParts): number | undefined {
  if (gpuCount === 0) return 0;
  return modelInArguments(line.args) === undefined ? models.gpusFor('') : undefined;
}

function messageOf(error: unknown, log: Logger): string {
  if (error instanceof AppError) return error.message;
  log.error({ err: error }, 'jobs file: submitting a line failed');
  return 'internal error, see the log; the line is tried again';
}
