import { spawnSync } from 'node:child_process';
import { AppError, errnoOf, isDiskFull } from '../../errors.js';
import { extract } from './extract.js';
import type { ExtractRequest, ExtractResult, ExtractorMessage } from './messages.js';
import { refusal } from './refusal.js';
import { verifyTree } from './verify-tree.js';

// The extractor process takes one ExtractRequest over IPC, answers with ExtractorMessages, and
// ends. It works synchronously where that is faster; the service itself stays free.

const REPORT_EVERY_MS = 250;

process.once('message', (request: ExtractRequest) => {
  void run(request).then(answer, (error: unknown) => {
    answer(failure(error));
  });
});
// The service is gone, so nothing would use or remove the tree. Decompressors end on their closed
// pipe.
process.once('disconnect', () => {
  process.exit(1);
});

async function run(request: ExtractRequest): Promise<ExtractorMessage> {
  process.chdir(request.treeDir);
  process.umask(0o027);
  let lastReport = Date.now();
  const result: ExtractResult = await extract(request, (files, bytes) => {
    if (Date.now() - lastReport < REPORT_EVERY_MS) return;
    lastReport = Date.now();
    process.send?.({ kind: 'progress', files, bytes } satisfies ExtractorMessage);
  });
  if (result.format !== 'file') verifyTree();
  if (request.durable) syncFileSystem();
  return { kind: 'done', result };
}

/** Runs one syncfs(2) instead of an fsync for each file. */
function syncFileSystem(): void {
  const { status, error, stderr } = spawnSync('sync', ['-f', '.'], { encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`sync failed: ${stderr}`);
}

function failure(thrown: unknown): ExtractorMessage {
  const error = translated(thrown);
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  if (!(error instanceof AppError)) return { kind: 'failed', message, stack };
  return { kind: 'failed', code: error.code, message, details: error.details, stack };
}

function translated(error: unknown): unknown {
  if (isDiskFull(error))
    return new AppError(
      'disk_full',
      'the disk became full while the archive was unpacked; free some space',
      { cause: error },
    );
  const errno = errnoOf(error);
  if (errno === 'ENAMETOOLONG' || errno === 'EILSEQ' || errno === 'EFBIG')
    return refusal(
      `this server's file system cannot hold a name or size in it (${errno})`,
      undefined,
      error,
    );
  return error;
}

function answer(message: ExtractorMessage): void {
  process.send?.(message, () => {
    process.exit(0);
  });
}
