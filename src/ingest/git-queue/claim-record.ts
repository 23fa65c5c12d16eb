import { z } from 'zod';
import { AppError } from '../../errors.js';
import { digestOf, rowStatuses } from './queue-file.js';
import { firstProblem } from '../../schema-problems.js';

/** Folder of the claims in the repository; the queue’s CSV has no room for them. */
export const claimsFolder = '.jobrunner';
export const maxRecordBytes = 256 * 1024;

const time = z.iso.datetime({ offset: true }).nullable();

/**
 * A result of a job: committed below the results folder, or only listed here with its digest when
 * it is too large.
 */
export const resultSchema = z.object({
  path: z.string(),
  /** Bytes. */
  size: z.number().int().min(0),
  sha256: z.string(),
  committed: z.boolean(),
});
export type ResultEntry = z.infer<typeof resultSchema>;

/** One file in {@link claimsFolder}: the runner of a job, its lease and the outcome. */
export const claimRecordSchema = z.looseObject({
  version: z.literal(1),
  script: z.string(),
  args: z.string(),
  kwargs: z.string(),
  /** Number of the row among rows that ask for the same, from 1. */
  copy: z.number().int().min(1),
  status: z.enum(rowStatuses),
  /** Number of starts, not counting those that were given back. */
  attempts: z.number().int().min(0),
  worker: z.string().max(300).nullable(),
  nonce: z.string().max(128).nullable(),
  claimed_at: time,
  renewed_at: time,
  lease_until: time,
  ended_at: time.default(null),
  exit_code: z.number().int().nullable().default(null),
  message: z.string().nullable().default(null),
  results: z.array(resultSchema).default([]),
  log: z.array(z.string()).default([]),
});
export type ClaimRecord = z.infer<typeof claimRecordSchema>;

/** Makes a job’s key from the digest of its row and its number among equal rows. */
export function keyOf(digest: string, copy: number): string {
  return `${digest.slice(0, 16)}-${copy}`;
}

export function recordPath(key: string): string {
  return `${claimsFolder}/${key}.json`;
}

/**
 * Parses the path of a claim’s file.
 * @returns undefined for any other path
 */
export function keyOfPath(path: string): { key: string; group: string; copy: number } | undefined {
  const [, key, group, copy] =
    /^\.jobrunner\/(([0-9a-f]{16})-([1-9]\d{0,5}))\.json$/.exec(path) ?? [];
  if (key === undefined || group === undefined) return undefined;
  return { key, group, copy: Number(copy) };
}

/** Parses a claim’s file. @throws AppError unprocessable naming the file */
export function parseRecord(key: string, bytes: Buffer): ClaimRecord {
  const refuse = (why: string, cause?: unknown) =>
    new AppError(
      'unprocessable',
      `${recordPath(key)}: ${why}; remove the file, and it is written again`,
      {
        cause,
      },
    );
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch (cause) {
    throw refuse('is not JSON', cause);
  }
  const parsed = claimRecordSchema.safeParse(value);
  if (!parsed.success) throw refuse(firstProblem(parsed.error));
  if (keyOf(digestOf(parsed.data), parsed.data.copy) !== key)
    throw refuse('describes another job than its name says');
  return parsed.data;
}

export function writeRecord(record: ClaimRecord): Buffer {
  return Buffer.from(`${JSON.stringify(record, null, 2)}\n`);
}
