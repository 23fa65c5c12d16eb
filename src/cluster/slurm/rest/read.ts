import { z } from 'zod';
import { SlurmError } from '../command.js';

/** A field of slurmrestd's that is not as any version known here writes it. */
export interface UnreadField {
  /** What it belongs to, such as `job`. */
  kind: string;
  /** Whose it is, such as the job's number; empty where that cannot be read either. */
  name: string;
  /** With those around it, such as `time.start`. */
  field: string;
  why: string;
}

export type TellUnread = (unread: UnreadField) => void;

/** Tells of each kind's each field once: a busy cluster has it in a thousand records every few seconds. */
export function onceEach(tell: TellUnread): TellUnread {
  const told = new Set<string>();
  return (unread) => {
    const key = `${unread.kind} ${unread.field}`;
    if (told.has(key)) return;
    told.add(key);
    tell(unread);
  };
}

/** @throws SlurmError `unanswered` naming the field that is not as expected: what was asked for may have been done. */
export function readReply<T>(schema: z.ZodType<T>, reply: unknown): T {
  const parsed = schema.safeParse(reply);
  if (parsed.success) return parsed.data;
  const said = parsed.error.issues.map((issue) => `${pathOf(issue)} ${whyOf(issue, reply)}`);
  throw new SlurmError('unanswered', `slurmrestd’s reply cannot be read: ${said.join('; ')}`, {
    cause: parsed.error,
  });
}

/** The records of a reply, unread. A list of nothing may be null (data_parser, COMPLEX). @throws SlurmError where there is no such list. */
export function listIn(name: string, reply: unknown): unknown[] {
  const list = z.object({ [name]: z.array(z.unknown()).nullable() });
  return readReply(list, reply)[name] ?? [];
}

export interface Kind<T> {
  kind: string;
  schema: z.ZodType<T>;
  /** Which field names the record. */
  nameIn: string;
  /** What is as if it were not there where it cannot be read. */
  canLack: readonly string[];
}

/** Reads one record of a list, and tells of what it cannot read. @returns undefined where it cannot do without. */
export function readRecord<T>(kind: Kind<T>, record: unknown, tell: TellUnread): T | undefined {
  const parsed = kind.schema.safeParse(record);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  for (const issue of issues)
    tell({
      kind: kind.kind,
      name: wordIn(record, kind.nameIn) ?? '',
      field: pathOf(issue),
      why: whyOf(issue, record),
    });
  const lacking = issues.map((issue) =>
    kind.canLack.find((field) => `${pathOf(issue)}.`.startsWith(`${field}.`)),
  );
  if (lacking.includes(undefined)) return undefined;
  const without = lacking.reduce<unknown>((rest, field) => omit(rest, field ?? ''), record);
  // What was left out is no issue again.
  return kind.schema.safeParse(without).data;
}

/** A text or number of a record that is not read otherwise; undefined where there is none. @param field as in {@link UnreadField} */
export function wordIn(record: unknown, field: string): string | undefined {
  const value = valueAt(record, field.split('.'));
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

function pathOf({ path }: z.core.$ZodIssue): string {
  return path.join('.');
}

function whyOf(issue: z.core.$ZodIssue, record: unknown): string {
  if (issue.code === 'custom') return issue.message;
  const value = valueAt(record, issue.path);
  // Never the value itself, which may be anybody's.
  if (value === null || value === undefined) return 'is missing';
  return Array.isArray(value) ? 'is an unexpected list' : `is an unexpected ${typeof value}`;
}

function valueAt(record: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    record,
  );
}

function omit(record: unknown, field: string): unknown {
  const [key = '', ...inner] = field.split('.');
  const { [key]: value, ...others } = record as Record<string, unknown>;
  return inner.length === 0 ? others : { ...others, [key]: omit(value, inner.join('.')) };
}
