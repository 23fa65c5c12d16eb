import { mkdirSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import express from 'express';
import { pino } from 'pino';
import { pinoHttp } from 'pino-http';
import type { Sha256 } from '../../src/datasets/digest.js';
import { datasetRoutes } from '../../src/datasets/routes.js';
import { DatasetService } from '../../src/datasets/service.js';
import { openDatabase } from '../../src/db/database.js';
import { errorReply } from '../../src/http/error-reply.js';
import { listen } from '../../src/http/server.js';
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
datasetRoutes(api, service, () => ({ count: 0, newest: [] }));
app.use(api.router);
app.get('/for-job/:sha256', (req, res) => {
  res.json(service.forJob(req.params.sha256 as Sha256));
});
/** Open connections, this one included, and bytes in use without the garbage. */
app.get('/memory', async (_req, res) => {
  const connections = await promisify(server.getConnections.bind(server))();
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  res.json({ connections, inUse: heapUsed + arrayBuffers });
});
app.use(errorReply());
const server = await listen(app, { host: '127.0.0.1', port: 0 });
process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
process.on('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
  void service.close().then(() => db.close());
});
