import { link, mkdir, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { errnoOf } from '../errors.js';
import { detectPacking, HEAD_BYTES, isTar } from './archive/detect.js';
import { singleFileName } from './archive/entry-name.js';
import { extractArchive } from './archive/extract-archive.js';
import type { ExtractResult } from './archive/messages.js';
import type { IncomingFolder } from './folders.js';

/** Limits of one archive; 0 means no limit but the free disk. */
export interface UnpackLimits {
  extractBytes: number;
  extractFiles: number;
  /** Bytes that the owner may still store; Infinity for any number. */
  roomBytes: number;
}

/**
 * Makes the tree of a received original and flushes it to the disk.
 * @throws as `extractArchive` does
 */
export async function unpack(
  incoming: IncomingFolder,
  originalName: string,
  { extractBytes, extractFiles, roomBytes }: UnpackLimits,
  signal: AbortSignal,
): Promise<ExtractResult> {
  const plain = await keepPlainFile(incoming, originalName);
  if (plain) return plain;
  const result = await extractArchive(
    incoming.original,
    incoming.tree,
    {
      maxBytes: extractBytes,
      maxFiles: extractFiles,
      ...(roomBytes !== Infinity && { roomBytes }),
    },
    { originalName, signal, fileGroup: incoming.gid },
  );
  // One syncfs(2) replaces an fsync for each file. A tree of just the original needs none.
  if (result.format !== 'file') await execa('sync', ['-f', incoming.tree]);
  return result;
}

/** Tells whether {@link unpack} has to start the extractor. */
export async function needsExtractor({ original }: IncomingFolder): Promise<boolean> {
  const { head, size } = await readHead(original);
  return detectPacking(head) !== undefined || isTar(head, head.length === size);
}

/**
 * Makes the tree of a file that is surely no archive. This spares the start of the extractor, a
 * tenth of a second.
 * @returns undefined if the extractor must decide
 */
async function keepPlainFile(
  incoming: IncomingFolder,
  originalName: string,
): Promise<ExtractResult | undefined> {
  if (await needsExtractor(incoming)) return undefined;
  const { original, tree } = incoming;
  await mkdir(tree, { mode: 0o750 });
  try {
    await link(original, join(tree, singleFileName(originalName, false)));
  } catch (error) {
    if (!['EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP'].includes(errnoOf(error) ?? '')) throw error;
    await rm(tree, { recursive: true });
    return undefined;
  }
  const { size } = await stat(original);
  return { format: 'file', files: 1, bytes: size };
}

async function readHead(path: string): Promise<{ head: Buffer; size: number }> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return { head: buffer.subarray(0, bytesRead), size };
  } finally {
    await file.close();
  }
}
