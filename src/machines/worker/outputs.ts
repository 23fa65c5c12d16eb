import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, stat } from 'node:fs/promises';
import { workerJobSchema } from '../../cluster/workers/record.js';
import { tarFolder } from '../../outputs/folder-archive.js';
import { ControllerRefusal, type ControllerLink } from './controller-link.js';

const chunkBytes = 4 * 1024 * 1024;

/**
 * Packs a job's outputs: files and folders, and the targets of links that stay inside. A file of
 * its own lists the rest.
 * @returns SHA-256 of the archive
 */
export async function packOutputs(outputDir: string, path: string): Promise<string> {
  const hash = createHash('sha256');
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    for await (const chunk of tarFolder(outputDir, '.', 'outputs')) {
      hash.update(chunk);
      await file.appendFile(chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  return hash.digest('hex');
}

/**
 * Sends the archive, from the first byte that the controller lacks, and reports that it is whole.
 * @throws LinkError, after which it must be called again; ControllerRefusal
 */
export async function sendOutputs(
  link: ControllerLink,
  jobId: number,
  path: string,
  sha256: string,
  signal: AbortSignal,
): Promise<void> {
  for (let tries = 0; ; tries++) {
    const { outputs } = workerJobSchema.parse(
      await link.call('GET', `/workers/jobs/${jobId}`, { signal }),
    );
    const { size } = await stat(path);
    let offset = outputs;
    if (offset < size) {
      const stream = createReadStream(path, { start: offset, highWaterMark: chunkBytes });
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        const target = `/workers/jobs/${jobId}/outputs?offset=${offset}`;
        await link.call('PUT', target, { body: chunk, signal });
        offset += chunk.length;
      }
    }
    try {
      const body = JSON.stringify({ sha256 });
      await link.call('POST', `/workers/jobs/${jobId}/outputs`, { body, signal });
      return;
    } catch (error) {
      // Damaged on the way: send all of it once more.
      if (!(error instanceof ControllerRefusal) || error.status !== 400 || tries === 2) throw error;
    }
  }
}
