import { AppError } from '../../errors.js';
import type { Ending } from './transitions.js';

/**
 * Records a job’s outcome. If the repository refuses the results, records the outcome without them;
 * a host may reject secrets or large files.
 * @param write makes the commit for the given ending
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
