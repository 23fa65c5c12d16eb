import { AppError } from '../../errors.js';
import { openConfined } from '../../storage/confined-fs/confined-files.js';
import { walkConfined } from '../../storage/confined-fs/confined-walk.js';
import type { ResultFile } from './results.js';

/** What a job of the template `git_queue` leaves its results in, whatever the repository calls the folder. */
const folder = 'results';

/** The results in a job's own folder, where it may have put anything: links out of it are not followed. */
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
    // A job that never began has none.
    if (!(error instanceof AppError) || error.code !== 'not_found') throw error;
  }
}
