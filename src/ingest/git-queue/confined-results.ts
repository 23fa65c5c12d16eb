import { AppError } from '../../errors.js';
import { openConfined } from '../../storage/confined-fs/confined-files.js';
import { walkConfined } from '../../storage/confined-fs/confined-walk.js';
import type { ResultFile } from './results.js';

/**
 * Folder in which a job of the template `git_queue` leaves its results, whatever the repository
 * calls it.
 */
const folder = 'results';

/**
 * Lists the results in a job’s own folder. The job may have put anything there, so links out of it
 * are not followed.
 */
export async function* confinedResults(outputDir: string): AsyncGenerator<ResultFile> {
  const walk = walkConfined(outputDir, { under: folder, maxEntries: 20_000 });
  try {
    for await (const entry of walk) {
      if (entry.kind !== 'file') continue;
      const { path, size } = entry;
      yield {
        path,
        size,
        open: async () => {
          const handle = await openConfined(outputDir, `${folder}/${path}`);
          return handle.createReadStream() as AsyncIterable<Buffer>;
        },
      };
    }
  } catch (error) {
    // A job that never started has no results.
    if (!(error instanceof AppError) || error.code !== 'not_found') throw error;
  }
}
