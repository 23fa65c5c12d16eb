import type { ErrorCode } from '../errors.js';

/** The HTTP status of each reason; no other file decides it. */
export const statusOf: Record<ErrorCode, number> = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  too_many_attempts: 429,
  limit_reached: 429,
  quota_exceeded: 413,
  not_found: 404,
  conflict: 409,
  ambiguous: 409,
  log_not_split: 409,
  sha256_mismatch: 400,
  archive_refused: 422,
  dataset_corrupt: 409,
  too_large: 413,
  range_unsatisfiable: 416,
  unprocessable: 422,
  slurm_refused: 422,
  disk_full: 507,
  storage_denied: 502,
  storage_not_found: 404,
  storage_unavailable: 502,
  slurm_unavailable: 503,
  not_supported: 501,
  shutting_down: 503,
};
