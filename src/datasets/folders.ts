import { randomBytes } from 'node:crypto';
import { existsSync, renameSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { errnoOf } from '../errors.js';
import { OWNER } from '../auth/caller.js';
import { sha256Schema, type Sha256 } from './digest.js';
import type { Dataset } from './store.js';

/** Paths of one dataset's parts. */
export interface DatasetPaths {
  folder: string;
  original: string;
  tree: string;
  meta: string;
}

/** A dataset's description in its own folder, from which a missing row is written again. */
const metaSchema = z.strictObject({
  sha256: sha256Schema,
  // Folders of versions without users have no owner.
  owner: z.string().default(OWNER),
  name: z.string(),
  format: z.string(),
  size: z.number(),
  files: z.number(),
  bytes: z.number(),
  source: z.string(),
  createdAt: z.number(),
  verifiedAt: z.number(),
  corrupt: z.boolean(),
});

/** The folders under `$JR_ROOT/datasets`. */
export class DatasetFolders {
  readonly incoming: string;
  readonly trash: string;

  constructor(readonly root: string) {
    this.incoming = join(root, '.incoming');
    this.trash = join(root, '.trash');
  }

  of(sha256: Sha256): DatasetPaths {
    return pathsIn(join(this.root, sha256.slice(0, 2), sha256));
  }

  async makeAll(): Promise<void> {
    await mkdir(this.root, { recursive: true, mode: 0o750 });
    for (const folder of [this.incoming, this.trash])
      await mkdir(folder, { recursive: true, mode: 0o700 });
  }

  /**
   * Makes a folder for a dataset that is being received; no job can reach it. Its path is at least
   * as long as the final one, so that every path that fits here fits there.
   */
  async makeIncoming(): Promise<IncomingFolder> {
    const holder = join(this.incoming, randomBytes(32).toString('hex'));
    await mkdir(holder, { mode: 0o700 });
    const folder = join(holder, 'dataset');
    await mkdir(folder, { mode: 0o750 });
    const { gid } = await stat(folder);
    return { holder, gid, ...pathsIn(folder) };
  }

  /**
   * Gives a finished folder its final name in one rename, after moving any older folder of that
   * name aside. Once this resolves, a power cut does not undo it.
   */
  async publish(incoming: IncomingFolder, sha256: Sha256): Promise<void> {
    const { folder } = this.of(sha256);
    const isNewPrefix = await mkdir(dirname(folder), { recursive: true, mode: 0o750 });
    if (isNewPrefix !== undefined) await syncFolder(this.root);
    const old = this.setAside(sha256);
    await rename(incoming.folder, folder);
    await this.syncParent(sha256);
    if (old !== undefined) await rm(old, { recursive: true, force: true });
  }

  /**
   * Moves a dataset's folder into the trash.
   * @returns its new path; undefined when there was no folder
   */
  setAside(sha256: Sha256): string | undefined {
    const aside = join(this.trash, randomBytes(16).toString('hex'));
    try {
      renameSync(this.of(sha256).folder, aside);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
    return aside;
  }

  /** Flushes a rename of the dataset's folder to the disk. */
  async syncParent(sha256: Sha256): Promise<void> {
    const parent = dirname(this.of(sha256).folder);
    if (existsSync(parent)) await syncFolder(parent);
  }
}

export interface IncomingFolder extends DatasetPaths {
  /** Outer folder, which the receiver removes in the end. */
  holder: string;
  /** Group that may read the dataset. */
  gid: number;
}

/** Writes the folder's description and flushes the folder's entries to the disk. */
export async function seal(paths: DatasetPaths, dataset: Dataset): Promise<void> {
  await writeFile(paths.meta, JSON.stringify(dataset), { mode: 0o640, flush: true });
  await syncFolder(paths.tree);
  await syncFolder(paths.folder);
}

/** Reads a folder's description. @throws if it is missing, unreadable, or of another digest */
export async function readMeta(paths: DatasetPaths, sha256: Sha256): Promise<Dataset> {
  const meta = metaSchema.parse(JSON.parse(await readFile(paths.meta, 'utf8')));
  if (meta.sha256 !== sha256) throw new Error(`${paths.meta} describes ${meta.sha256}`);
  return meta;
}

/** Tells whether the original, at its full size, and the tree are there; reads no bytes of them. */
export async function isWhole(paths: DatasetPaths, size: number): Promise<boolean> {
  try {
    const [original, tree] = await Promise.all([stat(paths.original), stat(paths.tree)]);
    return original.isFile() && original.size === size && tree.isDirectory();
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function pathsIn(folder: string): DatasetPaths {
  return {
    folder,
    original: join(folder, 'original'),
    tree: join(folder, 'tree'),
    meta: join(folder, 'meta.json'),
  };
}
