import { constants } from 'node:fs';
import { lstat, mkdir, open, opendir, readlink, symlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { BLOCK, numeric } from '../../../datasets/archive/tar-header.js';

/*
 * We read as jr-remote the files that the API names. They could be links to files that only
 * jr-remote can read: the keys and passwords of hosts. Those belong to jr-remote, and no part of a
 * job does. The check is on the opened file, whatever path led to it and whoever changes that path
 * meanwhile.
 */

/** Our own user; undefined for root, who owns files of every kind. */
const ownUid = process.getuid?.() === 0 ? undefined : process.getuid?.();

function refuseOwn(uid: number | undefined, what: string, own: number | undefined): void {
  if (own !== undefined && uid === own)
    throw new Error(`${what}: belongs to this process's user, so it is no part of a job`);
}

/**
 * Opens for reading a file that the API names. @throws Error for anything but a file, or for one of
 * our own
 */
export async function openUntrusted(path: string | Buffer, own = ownUid): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error(`${path.toString()}: is not a file`);
    refuseOwn(stats.uid, path.toString(), own);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Copies a file that the API names. */
export async function copyUntrusted(from: string, to: string): Promise<void> {
  const file = await openUntrusted(from);
  const copy = await open(to, 'wx', (await file.stat()).mode & 0o777);
  // Both streams close their files.
  await pipeline(file.createReadStream(), copy.createWriteStream());
}

/** Copies a folder that the API names. Links in it stay as they are. */
export async function copyFolder(from: string, to: string): Promise<void> {
  await mkdir(to);
  for await (const { name } of await opendir(from)) {
    const [path, copy] = [join(from, name), join(to, name)];
    const stats = await lstat(path);
    if (stats.isSymbolicLink()) await symlink(await readlink(path), copy);
    else if (stats.isDirectory()) await copyFolder(path, copy);
    else await copyUntrusted(path, copy);
  }
}

/** Passes a tar on, with the owners that tar(1) found. @throws Error at a file of our own */
export async function* rejectOwnFiles(
  tar: AsyncIterable<Buffer>,
  own = ownUid,
): AsyncGenerator<Buffer, void, undefined> {
  let header = Buffer.alloc(0);
  let content = 0;
  for await (const chunk of tar) {
    for (let at = 0; at < chunk.length;) {
      const skipped = Math.min(content, chunk.length - at);
      content -= skipped;
      at += skipped;
      if (at === chunk.length) break;
      const part = chunk.subarray(at, at + BLOCK - header.length);
      header = Buffer.concat([header, part]);
      at += part.length;
      if (header.length < BLOCK) break;
      refuseOwn(numeric(header, 108, 8), 'a file of the dataset', own);
      content = Math.ceil((numeric(header, 124, 12) ?? 0) / BLOCK) * BLOCK;
      header = Buffer.alloc(0);
    }
    yield chunk;
  }
}
