import { mapInSlices } from '../../slices.js';
import { SlurmError } from './command.js';
import { formatOf, readRow } from './columns.js';
import { parseEpoch, wordOrNull, type SlurmJob } from './job-record.js';
import { parseState } from './states.js';

const columns = [
  ['JobID', 20],
  ['State', 20],
  ['exit_code', 12],
  ['Reason', 64],
  ['SubmitTime', 24],
  ['StartTime', 24],
  ['EndTime', 24],
  ['NodeList', 80],
  ['RestartCnt', 8],
  ['Comment', 120],
] as const;

const beforeComment = columns.slice(0, -1).reduce((sum, [, width]) => sum + width, 0);

/**
 * Selects all jobs that slurmctld remembers: live ones, and those that ended within `MinJobAge`.
 */
export function squeueArguments(): string[] {
  return ['--noheader', '--all', '--states=all', formatOf(columns)];
}

/** Reads squeue's output in slices: ten thousand jobs would block everything else. */
export function readSqueue(output: string): Promise<SlurmJob[]> {
  return mapInSlices(recordsIn(output), parseRecord);
}

/** Reads squeue's output. @throws Error on a record that cannot be read. */
export function parseSqueue(output: string): SlurmJob[] {
  return recordsIn(output).map(parseRecord);
}

/**
 * Splits squeue's output into records. A job's comment may have line breaks. Slurm cuts a comment
 * to its column's width, so the lines after a break are shorter than any record up to its comment.
 */
function recordsIn(output: string): string[] {
  return output.split('\n').filter((line) => line.length >= beforeComment && line.trim() !== '');
}

function parseRecord(line: string): SlurmJob {
  const cell = readRow(columns, line);
  // Waiting tasks of an array appear as 12_[1-4]; the number before the underscore is the job's.
  const slurmJobId = /^(\d+)/.exec(cell.JobID)?.[1];
  if (slurmJobId === undefined)
    throw new Error(`squeue printed a line that cannot be read: ${cell.line}`);
  const ended = parseExit(cell.exit_code);
  const state = parseState(cell.State);
  const nodeList = wordOrNull(cell.NodeList);
  const hasStarted = state !== 'PENDING' && nodeList !== null;
  return {
    slurmJobId: Number(slurmJobId),
    state,
    reason: wordOrNull(cell.Reason),
    ...ended,
    submittedAt: parseEpoch(cell.SubmitTime),
    // Slurm prints an expected start for a waiting job, and the end for a job that never ran.
    startedAt: hasStarted ? parseEpoch(cell.StartTime) : null,
    endedAt: parseEpoch(cell.EndTime),
    nodeList,
    restarts: Number(cell.RestartCnt),
    comment: cell.Comment,
  };
}

/**
 * Reads an exit code. 24.11 prints `code:signal`; 22.05 prints a wait(2) status, with the exit code
 * above the signal. A job that could not be ended ("Kill task failed") has -1 there, and 0:0 in
 * sacct.
 * @throws Error on anything else
 */
function parseExit(text: string): { exitCode: number; signal: number } {
  const [, code, signal] = /^(\d+):(\d+)$/.exec(text) ?? [];
  if (code !== undefined) return { exitCode: Number(code), signal: Number(signal) };
  if (text === '-1') return { exitCode: 0, signal: 0 };
  if (!/^\d+$/.test(text))
    throw new Error(`squeue printed an exit code that cannot be read: ${text}`);
  const status = Number(text);
  return { exitCode: (status >> 8) & 0xff, signal: status & 0x7f };
}

export function commentArguments(slurmJobId: number): string[] {
  return ['--noheader', '--all', '--states=all', `--jobs=${slurmJobId}`, '--Format=Comment:120'];
}

/** Reads a job's comment. @throws SlurmError when the job is not there */
export function parseComment(output: string): string {
  if (output.trim() === '') throw new SlurmError('refused', 'Invalid job id specified');
  return output.trim();
}

export function priorityArguments(slurmJobId: number): string[] {
  return ['--noheader', '--all', `--jobs=${slurmJobId}`, '--Format=PriorityLong:20'];
}

/** Reads a priority. @throws Error if it is not a number */
export function parsePriority(output: string): number {
  const priority = Number(output.trim());
  if (output.trim() === '' || !Number.isInteger(priority))
    throw new Error(`squeue printed a priority that cannot be read: ${output}`);
  return priority;
}
