import { AppError } from '../../errors.js';
import type { Ending } from './transitions.js';

/**
 * Writes down what became of a job. Where the repository refuses its results, as a host does that takes no secrets or no large files,
 * that is done without them: the job's outcome is not to be lost with them.
 * @param write makes the commit that ends the job, of the ending that it is given
 */
export async function writeEnding<T>(
  ending: Ending,
  write: (ending: Ending) => Promise<T>,
): Promise<T> {
  try {
    return await write(ending);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'conflict') throw error;
    if (ending.files.length === 0) throw error;
    return write({
      ...ending,
      files: [],
      results: ending.results.map((result) => ({ ...result, committed: false })),
      log: [...ending.log, `jobrunner: without its results: ${error.message}`],
    });
  }
}
