import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../../errors.js';
import type { LogStream } from '../../jobs/log-file.js';
import { openConfined } from '../../storage/confined-fs/confined-files.js';
import { ControllerRefusal, type ControllerLink } from './controller-link.js';

const chunkBytes = 1024 * 1024;
const streams: readonly LogStream[] = ['stdout', 'stderr'];

/** Sends a job's log, from the first byte that the controller lacks. */
export class LogSender {
  readonly #jobId: number;
  readonly #logDir: string;
  readonly #link: ControllerLink;

  /** Bytes that the controller has, as far as known; its replies correct us. */
  readonly #sent: Record<LogStream, number> = { stdout: 0, stderr: 0 };

  constructor(jobId: number, logDir: string, link: ControllerLink) {
    this.#jobId = jobId;
    this.#logDir = logDir;
    this.#link = link;
  }

  /**
   * Sends everything there is now. @returns whether there was anything. @throws LinkError;
   * ControllerRefusal
   */
  async send(signal: AbortSignal): Promise<boolean> {
    let any = false;
    for (const stream of streams) while (await this.#sendChunk(stream, signal)) any = true;
    return any;
  }

  async #sendChunk(stream: LogStream, signal: AbortSignal): Promise<boolean> {
    const offset = this.#sent[stream];
    const chunk = await readChunk(this.#logDir, `${stream}.log`, offset);
    if (chunk === undefined) return false;
    try {
      const path = `/workers/jobs/${this.#jobId}/log/${stream}?offset=${offset}`;
      await this.#link.call('PUT', path, { body: chunk, signal });
      this.#sent[stream] = offset + chunk.length;
    } catch (error) {
      // It has more than we know of, from before a restart, or after a lost reply.
      if (!(error instanceof ControllerRefusal) || error.status !== 409) throw error;
      const { size } = error.details;
      if (typeof size !== 'number' || size === offset) throw error;
      this.#sent[stream] = size;
      if (size < offset) await delay(1000, undefined, { signal });
    }
    return true;
  }
}

/**
 * Reads a chunk. @returns undefined when nothing follows `offset`. The job owns the file and may
 * have replaced it.
 */
async function readChunk(dir: string, name: string, offset: number): Promise<Buffer | undefined> {
  const file = await openConfined(dir, name).catch((error: unknown) => {
    if (error instanceof AppError) return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const { size } = await file.stat();
    if (size <= offset) return undefined;
    const length = Math.min(chunkBytes, size - offset);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
    return bytesRead === 0 ? undefined : buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
