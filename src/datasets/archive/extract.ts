import { closeSync, fstatSync, linkSync, openSync, readSync } from 'node:fs';
import { chmodSync, chownSync, constants, copyFileSync } from 'node:fs';
import { AppError, errnoOf } from '../../errors.js';
import { Budget } from './budget.js';
import { decompress } from './decompressor.js';
import {
  HEAD_BYTES,
  type Packing,
  detectPacking,
  hasUsualLzmaProperties,
  isTar,
} from './detect.js';
import { singleFileName } from './entry-name.js';
import type {
  ArchiveFormat,
  Compression,
  ExtractRequest,
  ExtractResult,
  Report,
} from './messages.js';
import { StreamSorter } from './stream-sorter.js';
import { TarReader } from './tar-reader.js';
import { TreeWriter } from './tree-writer.js';

const READ_BYTES = 2 ** 20;
/** Length that decompressing other files as .lzma does not reach. */
const PLAUSIBLE_LZMA_BYTES = 512;

/**
 * Unpacks into the working directory, which must be the empty `request.treeDir`. Throws
 * `archive_refused` or `disk_full`; the caller then removes the partial tree.
 */
export async function extract(request: ExtractRequest, report: Report): Promise<ExtractResult> {
  const { head, size } = readHead(request.archivePath);
  const budget = new Budget(request.limits, size, '.');
  const tree = new TreeWriter(request.treeDir, budget, request.fileGroup);
  const format = await unpack(request, head, size, budget, tree, report);
  tree.finish();
  return { format, files: tree.files, bytes: tree.bytes };
}

async function unpack(
  request: ExtractRequest,
  head: Buffer,
  size: number,
  budget: Budget,
  tree: TreeWriter,
  report: Report,
): Promise<ArchiveFormat> {
  const packing = await believedPacking(request.archivePath, head);
  if (packing === 'zip') {
    const { readZip } = await import('./zip-reader.js');
    await readZip(request.archivePath, tree, report);
    return 'zip';
  }
  if (packing !== undefined) return unpackStream(request, packing, budget, tree, report);
  if (isTar(head, head.length === size)) {
    await readPlainTar(request.archivePath, tree, report);
    return 'tar';
  }
  keepAsFile(request, tree, size);
  return 'file';
}

async function believedPacking(archivePath: string, head: Buffer): Promise<Packing | undefined> {
  const packing = detectPacking(head);
  if (packing !== 'lzma' || hasUsualLzmaProperties(head)) return packing;
  let produced = 0;
  try {
    await decompress(archivePath, 'lzma', (chunk) => {
      produced += chunk.length;
      if (produced >= PLAUSIBLE_LZMA_BYTES) throw new PlausibleLzma();
    });
    return 'lzma';
  } catch (error) {
    if (error instanceof PlausibleLzma) return 'lzma';
    if (error instanceof AppError && error.code === 'archive_refused') return undefined;
    throw error;
  }
}

class PlausibleLzma extends Error {}

async function unpackStream(
  request: ExtractRequest,
  compression: Compression,
  budget: Budget,
  tree: TreeWriter,
  report: Report,
): Promise<ArchiveFormat> {
  const name = singleFileName(request.originalName, true);
  const sorter = new StreamSorter(tree, Buffer.from(name).toString('latin1'));
  await decompress(request.archivePath, compression, (chunk) => {
    budget.addStreamed(chunk.length);
    sorter.push(chunk);
    report(tree.files, tree.bytes);
  });
  return sorter.end() === 'tar' ? `tar.${compression}` : compression;
}

async function readPlainTar(archivePath: string, tree: TreeWriter, report: Report): Promise<void> {
  const tar = new TarReader(tree);
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  const fd = openSync(archivePath, 'r');
  try {
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer)) {
      tar.push(buffer.subarray(0, count));
      report(tree.files, tree.bytes);
      // Lets the loss of the parent process be noticed.
      await new Promise(setImmediate);
    }
  } finally {
    closeSync(fd);
  }
  tar.end();
}

/**
 * Makes the tree of a file that is no archive. It becomes another name of the upload (which gets
 * the tree's mode and group), or a copy on another disk.
 */
function keepAsFile(request: ExtractRequest, tree: TreeWriter, size: number): void {
  const name = singleFileName(request.originalName, false);
  try {
    linkSync(request.archivePath, name);
  } catch (error) {
    if (!['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP'].includes(errnoOf(error) ?? ''))
      throw error;
    copyFileSync(request.archivePath, name, constants.COPYFILE_FICLONE);
  }
  if (request.fileGroup !== undefined) chownSync(name, -1, request.fileGroup);
  chmodSync(name, 0o640);
  tree.files = 1;
  tree.bytes = size;
}

function readHead(archivePath: string): { head: Buffer; size: number } {
  const fd = openSync(archivePath, 'r');
  try {
    const buffer = Buffer.alloc(HEAD_BYTES);
    let length = 0;
    for (let count = -1; count !== 0 && length < HEAD_BYTES; length += count)
      count = readSync(fd, buffer, length, HEAD_BYTES - length, length);
    return { head: buffer.subarray(0, length), size: fstatSync(fd).size };
  } finally {
    closeSync(fd);
  }
}
