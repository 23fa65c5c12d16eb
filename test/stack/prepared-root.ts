import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';

export async function makeRoot(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'jr-test-'));
  await chmod(root, 0o755);
  return root;
}

/**
 * Makes a root that holds the accounting database of a stack that ran once: making one anew takes a
 * third of a start. The first caller of a jest run prepares the database; as long as it does, the
 * others get empty roots.
 * @param runOnce starts a stack over an empty root, and stops it
 */
export async function makePreparedRoot(runOnce: (root: string) => Promise<void>): Promise<string> {
  const folder = process.env['JR_TEST_RUN'];
  if (folder === undefined) throw new Error('jest has not run test/run-folder.js');
  const database = join(folder, 'mysql');
  if (!existsSync(database) && (await isFirst(folder))) {
    const used = join(folder, 'root');
    await runOnce(used);
    await rename(join(used, 'mysql'), database);
    await rm(used, { recursive: true });
  }
  const root = await makeRoot();
  // Most of InnoDB's redo log is a hole.
  if (existsSync(database)) await execa('cp', ['-a', '--sparse=always', database, root]);
  return root;
}

async function isFirst(folder: string): Promise<boolean> {
  try {
    await mkdir(join(folder, 'claimed'));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  }
}
