import { createHash } from 'node:crypto';
import { AppError } from '../../errors.js';
import { bomLength, formatField, readCsv, type CsvField, type CsvRow } from './csv-rows.js';
import { readArgs, readKwargs } from './row-arguments.js';

/** Some older tools write `done` for `run`; we read it and never write it. */
export const rowStatuses = ['ready', 'running', 'run', 'failed', 'done'] as const;
export type RowStatus = (typeof rowStatuses)[number];

export const maxQueueBytes = 16 * 1024 ** 2;
export const maxRows = 100_000;
/** Maximum length of a row’s job. It must fit into the job’s claim, where quotes are escaped. */
const maxJobBytes = 32 * 1024;
/** Maximum of bad rows shown; further ones are only counted. */
export const maxShownProblems = 100;

const columns = ['script', 'args', 'kwargs', 'status'] as const;
type Column = (typeof columns)[number];

export interface QueueRow {
  /** Number of its first line in the file, from 1. */
  line: number;
  script: string;
  args: string;
  kwargs: string;
  status: RowStatus;
  /** Digest of the job, independent of its position: rows of one digest are interchangeable. */
  digest: string;
}

interface PlacedRow extends QueueRow {
  statusField: CsvField;
}

/** The queue’s CSV file. Only single statuses ever change, and rows are only added. */
export class QueueFile {
  readonly #dialect: {
    delimiter: string;
    header: string[];
    lineEnd: string;
    endsOpen: boolean;
  };

  private constructor(
    readonly bytes: Buffer,
    dialect: {
      delimiter: string;
      header: string[];
      lineEnd: string;
      endsOpen: boolean;
    },
    readonly rows: readonly QueueRow[],
    readonly problems: readonly { line: number; message: string }[],
  ) {
    this.#dialect = dialect;
  }

  /** Parses a queue file. @throws AppError unprocessable when the bytes are not a queue file */
  static read(bytes: Buffer): QueueFile {
    if (bytes.length > maxQueueBytes)
      throw unreadable(`is larger than ${maxQueueBytes / 1024 ** 2} MiB`);
    const { delimiter, header, headerRow } = findHeader(bytes);
    const [, ...body] = readCsv(bytes, delimiter.charCodeAt(0), maxRows + 2);
    if (body.length > maxRows) throw unreadable(`has more than ${maxRows} rows`);
    const rows: PlacedRow[] = [];
    const problems: { line: number; message: string }[] = [];
    for (const row of body) {
      try {
        rows.push(toQueueRow(row, header));
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        problems.push({ line: row.line, message: error.message });
      }
    }
    const last = body.at(-1) ?? headerRow;
    const lineEnd = headerRow.lineEnd === '' ? '\n' : headerRow.lineEnd;
    const dialect = { delimiter, header, lineEnd, endsOpen: last.lineEnd === '' };
    return new QueueFile(bytes, dialect, rows, problems);
  }

  /** Makes a file without jobs. */
  static empty(): QueueFile {
    return QueueFile.read(Buffer.from(`${columns.join(',')}\n`));
  }

  /** Returns the file with one row's status changed and every other byte unchanged. */
  withStatus(row: QueueRow, status: RowStatus): QueueFile {
    return this.withStatuses([row], status);
  }

  /**
   * Changes the status of many rows and parses the file once.
   * @param rows rows of this file, in its order
   */
  withStatuses(rows: readonly QueueRow[], status: RowStatus): QueueFile {
    const parts: Buffer[] = [];
    let at = 0;
    for (const row of rows) {
      const { start, end } = (row as PlacedRow).statusField;
      const written = this.bytes.subarray(start, end).toString('latin1');
      const changed = written.replace(row.status, status);
      parts.push(this.bytes.subarray(at, start), Buffer.from(changed, 'latin1'));
      at = end;
    }
    return QueueFile.read(Buffer.concat([...parts, this.bytes.subarray(at)]));
  }

  /**
   * Returns the file with a `ready` row added in its own dialect. Columns that are not ours stay
   * empty.
   */
  withJob(job: { script: string; args: string; kwargs: string }): QueueFile {
    if (this.problems.some(({ message }) => message.includes('never closed')))
      throw unreadable('has a quote that is never closed, which would swallow a row at its end');
    refuseTooLong(job);
    const values: Record<Column, string> = { ...job, status: 'ready' };
    const { delimiter, header, lineEnd, endsOpen } = this.#dialect;
    const line = header
      .map((name) => formatField(isColumn(name) ? values[name] : '', delimiter))
      .join(delimiter);
    const added = endsOpen ? `${lineEnd}${line}` : `${line}${lineEnd}`;
    return QueueFile.read(Buffer.concat([this.bytes, Buffer.from(added)]));
  }
}

/** Computes the SHA-256, in hex, of the job that a row asks for. */
export function digestOf({ script, args, kwargs }: Record<'script' | 'args' | 'kwargs', string>) {
  return createHash('sha256')
    .update(JSON.stringify([script, args, kwargs]))
    .digest('hex');
}

function findHeader(bytes: Buffer) {
  for (const delimiter of [',', ';', '\t']) {
    const [headerRow] = readCsv(bytes, delimiter.charCodeAt(0), 1);
    if (headerRow === undefined || headerRow.problem !== undefined) continue;
    const header = headerRow.fields.map(({ text }) => (text ?? '').trim());
    const twice = columns.find((name) => header.filter((other) => other === name).length > 1);
    if (twice !== undefined) throw unreadable(`has the column ${twice} twice`);
    if (columns.every((name) => header.includes(name))) return { delimiter, header, headerRow };
  }
  if (bytes.length === bomLength(bytes))
    throw unreadable(`is empty; its first line names the columns: ${columns.join(',')}`);
  throw unreadable(`does not begin with the names of its columns: ${columns.join(',')}`);
}

function toQueueRow(row: CsvRow, header: string[]): PlacedRow {
  if (row.problem !== undefined) throw bad(row.problem);
  const read = (name: Column) => {
    const field = row.fields[header.indexOf(name)];
    if (field === undefined) throw bad(`${name}: is missing; the row has too few columns`);
    if (field.text === null) throw bad(`${name}: is not UTF-8 text`);
    return { field, text: field.text };
  };
  const status = read('status');
  const known = rowStatuses.find((name) => name === status.text.trim());
  if (known === undefined)
    throw bad(`status: expected one of ${rowStatuses.join(', ')}, got ${excerpt(status.text)}`);
  const job = {
    script: read('script').text.trim(),
    args: read('args').text,
    kwargs: read('kwargs').text,
  };
  if (job.script === '') throw bad('script: is empty');
  if (/[\0-\x1f\x7f]/.test(job.script)) throw bad('script: contains a control character');
  refuseTooLong(job);
  readArgs(job.args);
  readKwargs(job.kwargs);
  return {
    line: row.line,
    ...job,
    status: known,
    digest: digestOf(job),
    statusField: status.field,
  };
}

function refuseTooLong(job: { script: string; args: string; kwargs: string }): void {
  const bytes = Buffer.byteLength(JSON.stringify([job.script, job.args, job.kwargs]));
  if (bytes > maxJobBytes)
    throw bad(
      `args: the row is longer than ${maxJobBytes / 1024} KiB; put long values into a file of the repository`,
    );
}

function isColumn(name: string): name is Column {
  return (columns as readonly string[]).includes(name);
}

function bad(message: string): AppError {
  return new AppError('bad_request', message);
}

function unreadable(what: string): AppError {
  return new AppError('unprocessable', `the queue file ${what}`);
}

function excerpt(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
