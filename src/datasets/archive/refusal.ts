import { AppError } from '../../errors.js';
import { printable } from './printable.js';

/**
 * Makes the error for a rejected archive. `entry` is the raw name (one character for each byte) of
 * the entry at fault; the message and `details.entry` show it escaped and shortened.
 */
export function refusal(reason: string, entry?: string, cause?: unknown): AppError {
  if (entry === undefined)
    return new AppError('archive_refused', `archive refused: ${reason}`, { cause });
  const name = printable(entry);
  return new AppError('archive_refused', `archive refused: entry "${name}" ${reason}`, {
    cause,
    details: { entry: name },
  });
}
