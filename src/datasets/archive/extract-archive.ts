import { type ChildProcess, fork } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AppError } from '../../errors.js';
import { compiledProgram } from '../../config/package-root.js';
import type {
  ExtractLimits,
  ExtractProgress,
  ExtractRequest,
  ExtractResult,
  ExtractorMessage,
} from './messages.js';

export interface ExtractOptions {
  /** The uploader's name for the file; names the single file of a tree that is no archive. */
  originalName?: string;
  /**
   * Stops the work; the promise rejects with the signal's reason after everything has been removed.
   */
  signal?: AbortSignal;
  /** Group ID for the whole tree, which may read but not write it. We must be root or a member. */
  fileGroup?: number;
  /** Whether to put everything on the disk before resolving (one syncfs). */
  durable?: boolean;
  /** Called about four times a second during the work. */
  onProgress?: (progress: ExtractProgress) => void;
}

const EXTRACTOR = compiledProgram('datasets/archive/main.js');
const KEPT_STDERR = 4096;

/**
 * Unpacks `archivePath` into `treeDir`, which must not exist, in a process of its own. The content
 * decides the format: tar, gz, bz2, xz, lzma, zst or zip. Any other file becomes a tree of that one
 * file (a hard link where possible, which gives the file the tree's mode and group). After a
 * failure nothing is left at `treeDir`.
 *
 * Owners and special mode bits are dropped: folders get 0750, files 0640 or, if anyone could
 * execute them, 0750. Hard links become copies. Links that stay inside the tree are kept, even
 * dangling ones.
 *
 * Rejects with `archive_refused` (the message and `details.entry` name the entry),
 * `quota_exceeded`, `disk_full`, the signal's reason, `EEXIST` if `treeDir` exists, or an Error for
 * an internal failure.
 */
export async function extractArchive(
  archivePath: string,
  treeDir: string,
  limits: ExtractLimits,
  options: ExtractOptions = {},
): Promise<ExtractResult> {
  options.signal?.throwIfAborted();
  const request: ExtractRequest = {
    archivePath: resolve(archivePath),
    treeDir: resolve(treeDir),
    limits,
    originalName: options.originalName,
    fileGroup: options.fileGroup,
    durable: options.durable ?? false,
  };
  await mkdir(request.treeDir, { mode: 0o750 });
  try {
    return await runExtractor(request, options);
  } catch (error) {
    await rm(request.treeDir, { recursive: true, force: true });
    throw error;
  }
}

function runExtractor(request: ExtractRequest, options: ExtractOptions): Promise<ExtractResult> {
  return new Promise((fulfil, reject) => {
    const child = fork(EXTRACTOR, {
      // Give it a process group of its own, so that a stop reaches its decompressor too.
      detached: true,
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' },
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let outcome: ExtractorMessage | undefined;
    let startError: Error | undefined;
    let stderr = '';
    const stop = () => {
      killGroup(child);
    };
    options.signal?.addEventListener('abort', stop, { once: true });
    if (options.signal?.aborted === true) stop();
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-KEPT_STDERR);
    });
    child.on('message', (message: ExtractorMessage) => {
      if (message.kind === 'progress')
        options.onProgress?.({ files: message.files, bytes: message.bytes });
      else outcome = message;
    });
    child.on('error', (error) => {
      startError = error;
      // A process that never started does not exit either.
      if (child.pid === undefined) finish('not started');
    });
    child.on('close', (code, signal) => {
      finish(signal ?? `status ${code}`);
    });
    child.send(request, (error) => {
      if (error !== null) startError ??= error;
    });

    function finish(ending: string): void {
      options.signal?.removeEventListener('abort', stop);
      if (options.signal?.aborted === true) reject(options.signal.reason as Error);
      else if (outcome?.kind === 'done') fulfil(outcome.result);
      else if (outcome?.kind === 'failed') reject(errorOf(outcome));
      else
        reject(
          new Error(`the archive extractor died (${ending}): ${stderr}`, { cause: startError }),
        );
    }
  });
}

function errorOf(failed: Extract<ExtractorMessage, { kind: 'failed' }>): Error {
  const cause = new Error(failed.message);
  if (failed.stack !== undefined) cause.stack = failed.stack;
  if (failed.code === undefined)
    return new Error(`the archive extractor failed: ${failed.message}`, { cause });
  const details = failed.details === undefined ? {} : { details: failed.details };
  return new AppError(failed.code, failed.message, { cause, ...details });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  process.kill(-child.pid, 'SIGKILL');
}
