import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import express from 'express';
import { pino } from 'pino';
import { pinoHttp } from 'pino-http';
import type { Sha256 } from '../../src/datasets/digest.js';
import { datasetRoutes } from '../../src/datasets/routes.js';
import { DatasetService } from '../../src/datasets/service.js';
import { openDatabase } from '../../src/db/database.js';
import { errorReply } from '../../src/http/error-reply.js';
import { ownerApi } from '../owner-api.js';

// Runs the dataset part of the service as a process. DataServer starts it, and reads the port from
// its first line.

process.umask(0o027);
const { root, uploadBytes, crashAt, inUse } = JSON.parse(process.argv[2] ?? '') as {
  root: string;
  uploadBytes: number;
  crashAt?: string;
  inUse: string[];
};
mkdirSync(root, { recursive: true });
const log = pino(
  { level: 'debug' },
  {
    write(line: string) {
      if (crashAt && line.includes(`"step":"${crashAt}"`)) process.kill(process.pid, 'SIGKILL');
      if (!line.includes('"level":20')) process.stderr.write(line);
    },
  },
);
const db = openDatabase(join(root, 'db'));
const service = new DatasetService({
  db,
  root: join(root, 'datasets'),
  limits: { uploadBytes, extractBytes: 0, extractFiles: 0 },
  now: () => Date.now(),
  log,
  isInUse: (sha256) => inUse.includes(sha256),
  room: { roomFor: () => Infinity, ensureRoomFor: () => undefined },
});
await service.start();

const app = express();
app.set('query parser', 'simple');
app.use(pinoHttp({ logger: log, customLogLevel: () => 'debug' }));
const api = ownerApi();
datasetRoutes(api, service);
app.use(api.router);
app.get('/for-job/:sha256', (req, res) => {
  res.json(service.forJob(req.params.sha256 as Sha256));
});
/**
 * Returns the bytes in use without other requests and without garbage, whose amount differs from
 * run to run.
 */
app.get('/memory', async (_req, res) => {
  const connections = promisify(server.getConnections.bind(server));
  while ((await connections()) > 1) await setTimeout(10);
  // V8 frees buffers a moment after it has collected them.
  let least = Infinity;
  for (let i = 0; i < 10; i++) {
    globalThis.gc?.();
    await setTimeout(20);
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    least = Math.min(least, heapUsed + arrayBuffers);
  }
  res.json({ inUse: least });
});
app.use(errorReply());
const server = createServer({ requestTimeout: 0 }, app).listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
process.on('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
  void service.close().then(() => db.close());
});
