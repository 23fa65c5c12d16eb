import { AppError } from '../../errors.js';
import { SlurmError } from './command.js';

/**
 * Asks Slurm, and turns its errors into the API's.
 * @throws AppError conflict, with Slurm's message; slurm_unavailable
 */
export async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    if (!(cause instanceof SlurmError)) throw cause;
    if (cause.kind === 'refused')
      throw new AppError('conflict', `Slurm refused: ${cause.message}`, { cause });
    throw new AppError('slurm_unavailable', 'Slurm does not answer; try again in a moment', {
      cause,
    });
  }
}
