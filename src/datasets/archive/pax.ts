import { refusal } from './refusal.js';

/** A PAX record; both parts raw (latin1). */
export type PaxRecord = readonly [key: string, value: string];

/**
 * Reads the `LENGTH KEY=VALUE\n` records of a PAX header's body. LENGTH counts its own digits and
 * the newline, so a value may hold newlines. Throws `archive_refused` on a malformed record.
 * Source: POSIX.1-2017 pax, "pax Extended Header".
 */
export function parsePax(body: Buffer): PaxRecord[] {
  const records: PaxRecord[] = [];
  let at = 0;
  while (at < body.length) {
    const space = body.indexOf(0x20, at);
    const digits = space < 0 ? '' : body.toString('latin1', at, Math.min(space, at + 16));
    const end = /^[0-9]{1,15}$/.test(digits) ? at + Number(digits) : NaN;
    const equals = body.indexOf(0x3d, space + 1);
    if (!(end <= body.length) || equals < 0 || equals >= end - 1 || body[end - 1] !== 0x0a)
      throw refusal('a PAX header is malformed: the archive is corrupt');
    records.push([
      body.toString('latin1', space + 1, equals),
      body.toString('latin1', equals + 1, end - 1),
    ]);
    at = end;
  }
  return records;
}

/**
 * Returns the last value of `key`. An entry's own records override the global ones; an empty value
 * removes a setting.
 */
export function paxValue(
  key: string,
  own: readonly PaxRecord[],
  global: ReadonlyMap<string, string>,
): string | undefined {
  const record = own.findLast(([name]) => name === key);
  const value = record === undefined ? global.get(key) : record[1];
  return value === '' ? undefined : value;
}

/** Reads a whole number of bytes or blocks. Throws `archive_refused` that names the key. */
export function paxInteger(key: string, value: string, entry: string): number {
  const number = /^[0-9]{1,16}$/.test(value) ? Number(value) : NaN;
  if (!Number.isSafeInteger(number))
    throw refusal(`has a PAX header with an impossible "${key}"`, entry);
  return number;
}
