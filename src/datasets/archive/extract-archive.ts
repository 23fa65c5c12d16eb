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
  /** What the uploader called the file; names the one file of a tree that is no archive. */
  originalName?: string;
  /** Stops the work; the promise rejects with the signal's reason once nothing is left. */
  signal?: AbortSignal;
  /** Group ID given to everything in the tree, which it may read and not write. We must be root or a member. */
  fileGroup?: number;
  /** Put everything on the disk before resolving (one syncfs). */
  durable?: boolean;
  /** Called about four times a second while the work goes on. */
  onProgress?: (progress: ExtractProgress) => void;
}

const EXTRACTOR = compiledProgram('datasets/archive/main.js');
const KEPT_STDERR = 4096;

/**
 * Unpacks `archivePath` into `treeDir`, which must not exist, in a process of its own. What the file is, its content
 * decides: tar, gz, bz2, xz, lzma, zst, zip; anything else becomes a tree of that one file (a hard link where possible,
 * which gives the file the tree's mode and group). On any failure nothing is left at `treeDir`.
 *
 * Owners and special mode bits are dropped: folders get 0750, files 0640 or, if anyone could execute them, 0750.
 * Hard links become copies. Links that stay inside the tree are kept, even ones that dangle.
 *
 * Rejects with `archive_refused` (the entry named in the message and in `details.entry`), `disk_full`, the signal's
 * reason, `EEXIST` if `treeDir` is there, or an Error for a fault of ours.
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
      // Its own process group, so that a stop reaches its decompressor too.
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
