import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import express from 'express';
import { pino } from 'pino';
import { pinoHttp } from 'pino-http';
import { openDatabase, type Database } from '../../src/db/database.js';
import { errorReply } from '../../src/http/error-reply.js';
import { Waits } from '../../src/http/waits.js';
import { outputRoutes } from '../../src/outputs/routes.js';
import { OutputService, type OutputJob } from '../../src/outputs/service.js';
import { ownerApi } from '../owner-api.js';
import { JobFolder } from './hostile-folder.js';

export interface Reply {
  status: number;
  headers: IncomingMessage['headers'];
  body: Buffer;
  /** True when the connection broke before the body's end. */
  cut: boolean;
}

/**
 * The real service, store and routes of outputs over HTTP on a free port, with a temporary folder
 * and SQLite file.
 */
export class OutputStack {
  readonly folder = new JobFolder();
  readonly db: Database = openDatabase(join(this.folder.base, 'jr.db'));
  readonly outputs: OutputService;
  readonly #server: Server;
  time = Date.parse('2026-01-02T03:04:05Z');
  /**
   * Describes outputs that are still to arrive, and is called after a folder was read.
   */
  late: string | undefined;
  lookedThrough: () => void = () => undefined;

  private constructor() {
    const select = `SELECT job_id, user, experiment_id, state, terminal FROM jobs`;
    const read = (row: unknown) => {
      const job = row as Omit<OutputJob, 'terminal'> & { terminal: number };
      return { ...job, terminal: job.terminal === 1 };
    };
    this.outputs = new OutputService({
      db: this.db,
      resultsDir: this.folder.results,
      now: () => {
        this.lookedThrough();
        return this.time;
      },
      onTheWay: () => this.late,
      jobs: {
        find: (jobId) => {
          const row = this.db.prepare(`${select} WHERE job_id = ?`).get(jobId);
          return row === undefined ? undefined : read(row);
        },
        inExperiment: (id) =>
          this.db.prepare(`${select} WHERE experiment_id = ?`).all(id).map(read),
      },
    });
    const app = express();
    app.set('query parser', 'simple');
    app.use(pinoHttp({ logger: pino({ level: 'silent' }) }));
    const api = ownerApi();
    outputRoutes(api, this.outputs, new Waits(new AbortController().signal, 50));
    app.use(api.router);
    app.use(errorReply());
    this.#server = createServer(app);
  }

  static async start(): Promise<OutputStack> {
    const stack = new OutputStack();
    stack.#server.listen(0, '127.0.0.1');
    await once(stack.#server, 'listening');
    return stack;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await this.outputs.close();
    this.db.close();
    this.folder.remove();
  }

  job(jobId: number, experimentId = `job-${jobId}`, state = 'COMPLETED', user = 'admin'): void {
    this.db
      .prepare(
        `INSERT INTO jobs (job_id, comment, command_key, experiment_id, name, request, state, terminal,
                           submitted_at, user)
         VALUES (?, ?, 'shell', ?, 'n', '{}', ?, ?, 0, ?)`,
      )
      .run(jobId, `jr-${jobId}`, experimentId, state, state === 'COMPLETED' ? 1 : 0, user);
  }

  setState(jobId: number, state: string): void {
    this.db
      .prepare('UPDATE jobs SET state = ?, terminal = ? WHERE job_id = ?')
      .run(state, state === 'COMPLETED' ? 1 : 0, jobId);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Starts a request without reading its reply. */
  async open(
    path: string,
    headers: Record<string, string> = {},
    method = 'GET',
  ): Promise<IncomingMessage> {
    const req = request({
      host: '127.0.0.1',
      port: this.port,
      path,
      headers,
      method,
      agent: false,
    });
    req.end();
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    return res;
  }

  async get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Reply> {
    const res = await this.open(path, headers, method);
    const chunks: Buffer[] = [];
    let cut = false;
    res.on('data', (chunk: Buffer) => chunks.push(chunk));
    res.on('error', () => {
      cut = true;
    });
    if (!res.closed) await new Promise((resolve) => res.once('close', resolve));
    return {
      status: res.statusCode ?? 0,
      headers: res.headers,
      body: Buffer.concat(chunks),
      cut: cut || !res.complete,
    };
  }

  async json(path: string): Promise<{ status: number; body: Record<string, unknown> }> {
    const { status, body } = await this.get(path);
    return { status, body: JSON.parse(body.toString()) as Record<string, unknown> };
  }
}

export const byPath = (relPath: string, jobId = 1) =>
  `/outputs/download_by_job?job_id=${jobId}&rel_path=${encodeURIComponent(relPath)}`;

export const byId = (experimentId: string, outputId: string) =>
  `/outputs/download?experiment_id=${encodeURIComponent(experimentId)}&output_id=${encodeURIComponent(outputId)}`;
