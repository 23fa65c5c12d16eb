import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { gunzip } from './gunzip.js';
import { printable } from './printable.js';
import type { Compression } from './messages.js';
import { refusal } from './refusal.js';

/**
 * Most memory for a stream: ample for `xz -9e` (65 MiB) and `zstd --long=30`, too little to hurt
 * the machine.
 */
const COMMANDS: Record<Exclude<Compression, 'gz'>, readonly [string, ...string[]]> = {
  bz2: ['bzip2', '-dc'],
  xz: ['xz', '-dc', '--threads=0', '--memlimit-mt-decompress=256MiB', '--memlimit-decompress=1GiB'],
  lzma: ['xz', '--format=lzma', '-dc', '--memlimit-decompress=1GiB'],
  zst: ['zstd', '-dcq', '--memory=1024MB', '--no-progress'],
};
const KEPT_COMPLAINT = 2048;

/**
 * Runs the archive through its decompressor (a process; gzip runs in this one) and passes on each
 * chunk. Resolves when the stream has been read to its end without a complaint: the decompressor
 * has then checked CRCs, sizes and footers. Rejects with `archive_refused` for any complaint
 * (trailing garbage is only a warning to bzip2), and with any error that `onChunk` throws.
 */
export async function decompress(
  archivePath: string,
  compression: Compression,
  onChunk: (chunk: Buffer) => void,
): Promise<void> {
  if (compression === 'gz') return gunzip(archivePath, onChunk);
  const [program, ...args] = COMMANDS[compression];
  const archive = openSync(archivePath, 'r');
  const child = spawn(program, args, { stdio: [archive, 'pipe', 'pipe'] });
  closeSync(archive);
  try {
    const complaint = await drain(child, onChunk);
    if (complaint !== undefined)
      throw refusal(
        `the ${compression} stream is corrupt, truncated or followed by other data (${printable(complaint)})`,
      );
  } catch (error) {
    child.kill('SIGKILL');
    if (error instanceof Error && 'syscall' in error && error.syscall === `spawn ${program}`)
      throw refusal(
        `this server has no "${program}"; install it, or upload a .tar.gz or a .zip`,
        undefined,
        error,
      );
    throw error;
  }
}

function drain(child: ChildProcess, onChunk: (chunk: Buffer) => void): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let complaint = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString('latin1')).slice(0, KEPT_COMPLAINT);
    });
    child.stdout?.on('data', (chunk: Buffer) => {
      try {
        onChunk(chunk);
      } catch (error) {
        child.stdout?.destroy();
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const words = complaint.trim().replace(/\s+/g, ' ');
      if (code === 0 && words === '') resolve(undefined);
      else resolve(words || `ended with ${signal ?? `status ${code}`}`);
    });
  });
}
