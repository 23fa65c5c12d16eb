import { AppError, isDiskFull } from '../../errors.js';
import type { ImportView } from './replies.js';
import type { ImportRow } from './store.js';
import type { Progress } from './transfer.js';
import { isoTime } from '../../iso-time.js';

export class CancelledImport extends Error {
  constructor() {
    super('cancelled; nothing was kept');
  }
}

export class InterruptedImport extends Error {
  constructor() {
    super('interrupted: the service stopped during this import; start it again');
  }
}

/**
 * Shows an import as the API does.
 * @param live this process's state of an import that has not ended
 */
export function viewImport(
  row: ImportRow,
  live: { started: boolean; progress: Progress } | undefined,
): ImportView {
  const { id, uri, state, sha256, error, error_code, created_at, ended_at } = row;
  return {
    id,
    uri,
    state: live && !live.started ? 'QUEUED' : state,
    bytes_done: live?.progress.done ?? row.bytes_done,
    bytes_total: live?.progress.total ?? row.bytes_total,
    sha256,
    error: error === null ? null : { code: error_code ?? 'internal', message: error },
    created_at: isoTime(created_at),
    ended_at: isoTime(ended_at),
  };
}

/** Explains to the caller why an import failed. */
export function explainFailure(error: unknown): { code: string; message: string } {
  if (error instanceof AppError) return { code: error.code, message: error.message };
  if (error instanceof CancelledImport) return { code: 'cancelled', message: error.message };
  if (error instanceof InterruptedImport) return { code: 'interrupted', message: error.message };
  if (isDiskFull(error))
    return {
      code: 'disk_full',
      message: 'the disk is full: delete datasets or results, then start the import again',
    };
  return {
    code: 'internal',
    message: 'internal error; the service log has the reason',
  };
}
