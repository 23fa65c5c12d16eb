import { z } from 'zod';
import { SlurmError } from '../command.js';

/** A field of slurmrestd whose format fits no known version. */
export interface UnreadField {
  /** Kind of record, such as `job`. */
  kind: string;
  /** Name of the record, such as the job's number; empty if that cannot be read either. */
  name: string;
  /** Path of the field, such as `time.start`. */
  field: string;
  why: string;
}

export type TellUnread = (unread: UnreadField) => void;

/**
 * Reports each field of each kind once: a busy cluster repeats it in a thousand records every few
 * seconds.
 */
export function onceEach(tell: TellUnread): TellUnread {
  const told = new Set<string>();
  return (unread) => {
    const key = `${unread.kind} ${unread.field}`;
    if (told.has(key)) return;
    told.add(key);
    tell(unread);
  };
}

/**
 * Reads a reply.
 * @throws SlurmError `unanswered`, naming the unexpected field; Slurm may still have done the
 * request
 */
export function readReply<T>(schema: z.ZodType<T>, reply: unknown): T {
  const parsed = schema.safeParse(reply);
  if (parsed.success) return parsed.data;
  const said = parsed.error.issues.map((issue) => `${pathOf(issue)} ${whyOf(issue, reply)}`);
  throw new SlurmError('unanswered', `slurmrestd’s reply cannot be read: ${said.join('; ')}`, {
    cause: parsed.error,
  });
}

/**
 * Returns the raw records of a reply. An empty list may be null (data_parser, COMPLEX).
 * @throws SlurmError if there is no such list
 */
export function listIn(name: string, reply: unknown): unknown[] {
  const list = z.object({ [name]: z.array(z.unknown()).nullable() });
  return readReply(list, reply)[name] ?? [];
}

export interface Kind<T> {
  kind: string;
  schema: z.ZodType<T>;
  /** Field that names the record. */
  nameIn: string;
  /** Fields that are dropped if they cannot be read. */
  canLack: readonly string[];
}

/**
 * Reads one record of a list, and reports unreadable fields.
 * @returns undefined if a required field is among them
 */
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
  return kind.schema.safeParse(without).data;
}

/**
 * Returns a text or number of a raw record; undefined if there is none.
 * @param field as in {@link UnreadField}
 */
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
  // Never shows the value itself, which may be private.
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
