import { AppError } from '../../errors.js';
import { printable } from './printable.js';

/**
 * The error for an archive that is not taken. `entry` is the raw name (one character a byte) of the entry at fault;
 * it stands, escaped and shortened, in the message and in `details.entry`.
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
