import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Database } from '../db/database.js';
import { sha256Schema } from './digest.js';
import { isWhole, readMeta, type DatasetFolders } from './folders.js';
import { deleteDataset, findDataset, listDatasets, markChecked, putDataset } from './store.js';

/**
 * Removes the leftovers of a crash and makes rows and folders agree again. A folder gets its name
 * only when it is whole and on the disk, so a folder without a row is restored without a search.
 */
export async function reconcile(
  db: Database,
  folders: DatasetFolders,
  log: Logger,
  now: () => number,
): Promise<void> {
  for (const leftovers of [folders.incoming, folders.trash])
    for (const name of await readdir(leftovers))
      await rm(join(leftovers, name), { recursive: true, force: true });

  for (const prefix of await readdir(folders.root)) {
    if (!/^[0-9a-f]{2}$/.test(prefix)) continue;
    for (const name of await readdir(join(folders.root, prefix)))
      await restore(db, folders, log, prefix, name);
  }
  for (const { sha256, size, corrupt } of listDatasets(db)) {
    if (corrupt || (await isWhole(folders.of(sha256), size))) continue;
    log.warn({ sha256 }, 'a dataset’s files are missing or incomplete: upload it again');
    markChecked(db, sha256, true, now());
  }
}

async function restore(
  db: Database,
  folders: DatasetFolders,
  log: Logger,
  prefix: string,
  name: string,
): Promise<void> {
  const sha256 = sha256Schema.safeParse(name).data;
  if (sha256 === undefined || !name.startsWith(prefix)) {
    log.warn({ path: join(prefix, name) }, 'ignored a folder that is not a dataset');
    return;
  }
  const known = findDataset(db, sha256);
  const paths = folders.of(sha256);
  if (known && !known.corrupt) return;
  try {
    const meta = await readMeta(paths, sha256);
    if (!(await isWhole(paths, meta.size))) throw new Error('the original or the tree is missing');
    // An older folder is the corrupt dataset itself; a newer one has replaced it.
    if (known && known.createdAt >= meta.createdAt) return;
    putDataset(db, meta);
    log.info({ sha256 }, 'restored a dataset that was stored just before a crash');
  } catch (error) {
    if (known) return;
    log.warn({ sha256, err: error }, 'removed an incomplete dataset folder');
    const aside = folders.setAside(sha256);
    deleteDataset(db, sha256);
    if (aside) await rm(aside, { recursive: true, force: true });
  }
}
