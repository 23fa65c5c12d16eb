/** Reasons for which a call can fail, as callers see them in `error.code`. */
export type ErrorCode =
  | 'bad_request'
  | 'unauthorized'
  | 'forbidden'
  | 'too_many_attempts'
  | 'limit_reached'
  | 'quota_exceeded'
  | 'not_found'
  | 'conflict'
  | 'exists_already'
  | 'ambiguous'
  | 'log_not_split'
  | 'sha256_mismatch'
  | 'archive_refused'
  | 'dataset_corrupt'
  | 'too_large'
  | 'range_unsatisfiable'
  | 'unprocessable'
  | 'slurm_refused'
  | 'disk_full'
  | 'storage_denied'
  | 'storage_not_found'
  | 'storage_unavailable'
  | 'slurm_unavailable'
  | 'not_supported'
  | 'shutting_down';

export interface AppErrorOptions {
  /** The underlying error; logged, never sent to the caller. */
  cause?: unknown;
  /** Facts for the caller's program, such as the fields, the limit or the digest. */
  details?: Record<string, unknown>;
}

/**
 * An expected failure. `message` tells the caller how to correct the call; it holds no secret and
 * no internal path.
 */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly details: Record<string, unknown> | undefined;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details;
  }
}

/**
 * Builds the error of one field of a request, a form or a file. The message begins with the
 * field's name, and `details.fields` lists it for programs.
 */
export function fieldError(
  code: ErrorCode,
  field: string,
  problem: string,
  { cause, details }: AppErrorOptions = {},
): AppError {
  return new AppError(code, `${field}: ${problem}`, {
    cause,
    details: { fields: [field], ...details },
  });
}

/** Lists the fields that an error names; empty if it names none. */
export function fieldsOfError({ details }: AppError): readonly string[] {
  return (details?.['fields'] as readonly string[] | undefined) ?? [];
}

/** Tells whether the file system is full (`ENOSPC`, `EDQUOT`). */
export function isDiskFull(error: unknown): boolean {
  const code = errnoOf(error);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** Returns the errno name of a system error (`ENOENT`); undefined for any other error. */
export function errnoOf(error: unknown): string | undefined {
  // Avoid instanceof: an error may come from another realm of the same process.
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
