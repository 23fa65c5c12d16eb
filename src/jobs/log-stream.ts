import type { Response } from 'express';
import { once } from 'node:events';
import { stillHolds } from '../auth/caller.js';
import { sleep } from '../every.js';
import type { JobId } from './job.js';
import type { JobFolders } from './job-folders.js';
import { openLog, type LogStream } from './log-file.js';
import type { JobService } from './service.js';

const chunkBytes = 64 * 1024;
const pollMs = 250;
/** Interval of heartbeats: proxies cut a connection that is silent for a minute. */
const heartbeatMs = 15_000;

/**
 * Streams a log as server-sent events (html.spec.whatwg.org, 9.2). Each `log` event carries text
 * and, as its id, the byte where it ends. So a client that returns with `Last-Event-ID` misses and
 * repeats nothing. An `end` event with the state closes the stream. The stream ends without that
 * event once the caller's token is no longer valid.
 * @throws AppError as {@link openLog} does, before the reply begins
 */
export async function streamLog(
  res: Response,
  waiting: AbortSignal,
  jobs: JobService,
  folders: JobFolders,
  id: JobId,
  stream: LogStream,
  from: number,
): Promise<void> {
  const { handle } = await openLog(folders, jobs.get(id), stream, {});
  await handle?.close();
  res.writeHead(200, {
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-store',
    'X-Accel-Buffering': 'no',
  });
  if (res.req.method === 'HEAD') {
    res.end();
    return;
  }
  res.flushHeaders();

  let offset = from;
  let lastSent = Date.now();
  while (!waiting.aborted && stillHolds(res)) {
    // Read the state before the log; otherwise the last words of an ended job could be missed.
    const job = jobs.get(id);
    const next = await sendFrom(offset);
    if (next > offset) {
      offset = next;
      lastSent = Date.now();
      continue;
    }
    if (job.terminal) {
      res.end(`id: ${offset}\nevent: end\ndata: ${JSON.stringify({ state: job.state })}\n\n`);
      return;
    }
    if (Date.now() - lastSent > heartbeatMs) {
      res.write(': still here\n\n');
      lastSent = Date.now();
    }
    await sleep(pollMs, waiting);
  }
  res.end();

  async function sendFrom(start: number): Promise<number> {
    const log = await openLog(folders, jobs.get(id), stream, { offset: start, limit: chunkBytes });
    if (log.handle === undefined) return start;
    try {
      const wanted = log.end - log.start;
      if (wanted === 0) return start;
      const { buffer, bytesRead } = await log.handle.read(
        Buffer.alloc(wanted),
        0,
        wanted,
        log.start,
      );
      const whole = wholeCharacters(buffer.subarray(0, bytesRead));
      const end = log.start + whole.length;
      // Each line needs a field of its own; a lone CR would end a line, too.
      const data = whole
        .toString('utf8')
        .replaceAll('\r\n', '\n')
        .split(/[\n\r]/);
      const event = `id: ${end}\nevent: log\n${data.map((line) => `data: ${line}`).join('\n')}\n\n`;
      if (!res.write(event)) await drained(res, waiting);
      return end;
    } finally {
      await log.handle.close();
    }
  }
}

/** Cuts off an incomplete last character, which the next event carries. */
function wholeCharacters(bytes: Buffer): Buffer {
  for (let back = 1; back <= Math.min(3, bytes.length - 1); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0b1100_0000) === 0b1000_0000) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? bytes.subarray(0, bytes.length - back) : bytes;
  }
  return bytes;
}

/** Waits until `res` takes more, or until `signal` fires: without its reader it never drains. */
async function drained(res: Response, signal: AbortSignal): Promise<void> {
  await once(res, 'drain', { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}
