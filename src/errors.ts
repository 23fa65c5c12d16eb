/** The reasons a call can fail, as callers see them in `error.code`. */
export type ErrorCode =
  | 'bad_request'
  | 'unauthorized'
  | 'forbidden'
  | 'too_many_attempts'
  | 'limit_reached'
  | 'quota_exceeded'
  | 'not_found'
  | 'conflict'
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
  /** What went wrong underneath; goes to the log, never to the caller. */
  cause?: unknown;
  /** Facts for the caller's program: the field, the limit, the digest. */
  details?: Record<string, unknown>;
}

/** An expected failure. `message` is for the caller and says what to do; it holds no secret and no path of ours. */
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

/** True for the errno of a file system that can take no more (`ENOSPC`, `EDQUOT`). */
export function isDiskFull(error: unknown): boolean {
  const code = errnoOf(error);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** The errno name of a system error (`ENOENT`), or undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  // Not instanceof: an error may come from another realm of the same process.
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
