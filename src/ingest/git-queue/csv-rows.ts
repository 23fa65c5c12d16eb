import { isUtf8 } from 'node:buffer';

/*
 * We have our own reader because no library reports the position of a field in the file.
 * A change must keep every other byte as it is: quotes, blanks, line ends.
 * The tests compare it with Python's csv module, which the queue's older readers use.
 */

/** A field by its position in the file, quotes included. */
export interface CsvField {
  start: number;
  end: number;
  /** Null when the bytes are not UTF-8. */
  text: string | null;
}

export interface CsvRow {
  /** The number of its first line, from 1. */
  line: number;
  fields: CsvField[];
  /** Empty for the last row of a file without a final line end. */
  lineEnd: '\n' | '\r\n' | '\r' | '';
  /** Reason why the row cannot be read. */
  problem?: string;
}

/** Maximum of fields in a row: each takes memory, and no real table has more. */
const maxFields = 1000;

const quote = 0x22;
const lf = 0x0a;
const cr = 0x0d;

/** The byte order mark's length: 0 or 3. */
export function bomLength(file: Buffer): number {
  return file[0] === 0xef && file[1] === 0xbb && file[2] === 0xbf ? 3 : 0;
}

/**
 * Reads CSV by RFC 4180, with any one-byte delimiter and any line end. A quote inside an unquoted
 * field is an ordinary character. Empty lines are left out.
 * @param maxRows number of rows after which reading stops
 */
export function readCsv(file: Buffer, delimiter: number, maxRows = Infinity): CsvRow[] {
  const rows: CsvRow[] = [];
  let at = bomLength(file);
  let line = 1;
  while (at < file.length && rows.length < maxRows) {
    const row: CsvRow = { line, fields: [], lineEnd: '' };
    let more = true;
    while (more) {
      const start = at;
      let quoted: { open: boolean; after: number } | undefined;
      if (file[at] === quote) {
        const close = closingQuote(file, at);
        quoted = { open: close === -1, after: close === -1 ? file.length : close + 1 };
        line += lineEndsIn(file, at, quoted.after);
        at = quoted.after;
      }
      while (at < file.length && file[at] !== delimiter && file[at] !== lf && file[at] !== cr) at++;
      if (quoted?.open) row.problem = 'a quote is never closed; the rows after it cannot be read';
      else if (quoted && at > quoted.after)
        row.problem = 'there is text after a closing quote; a quote inside quotes is written twice';
      if (row.fields.length < maxFields)
        row.fields.push({ start, end: at, text: textOf(file, start, at, quoted !== undefined) });
      else row.problem ??= `has more than ${maxFields} columns`;
      more = file[at] === delimiter && at < file.length;
      if (more) at++;
    }
    if (file[at] === cr && file[at + 1] === lf) row.lineEnd = '\r\n';
    else if (file[at] === cr) row.lineEnd = '\r';
    else if (file[at] === lf) row.lineEnd = '\n';
    at += row.lineEnd.length;
    line += 1;
    const [first] = row.fields;
    if (row.fields.length > 1 || (first && first.end > first.start)) rows.push(row);
  }
  return rows;
}

/** Writes one field as CSV, with quotes only where they are needed. */
export function formatField(text: string, delimiter: string): string {
  const isPlain = !/["\r\n]/.test(text) && !text.includes(delimiter);
  return isPlain ? text : `"${text.replaceAll('"', '""')}"`;
}

/**
 * Finds the closing quote.
 * @returns -1 when the quote stays open
 */
function closingQuote(file: Buffer, open: number): number {
  for (let at = open + 1; ; at += 2) {
    at = file.indexOf(quote, at);
    if (at === -1 || file[at + 1] !== quote) return at;
  }
}

function lineEndsIn(file: Buffer, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at++)
    if (file[at] === lf || (file[at] === cr && file[at + 1] !== lf)) count++;
  return count;
}

function textOf(file: Buffer, start: number, end: number, isQuoted: boolean): string | null {
  const bytes = file.subarray(start, end);
  if (!isUtf8(bytes)) return null;
  const text = bytes.toString();
  return isQuoted ? text.replace(/^"|"$/g, '').replaceAll('""', '"') : text;
}
