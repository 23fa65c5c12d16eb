import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Express } from 'express';
import { pino } from 'pino';
import { openApp, type App } from '../../src/app/app.js';
import { readConfig } from '../../src/config/config.js';
import { packageRoot } from '../../src/config/package-root.js';
import { layoutOf, type Layout } from '../../src/config/layout.js';
import type { Endpoint } from '../../src/http/api.js';
import type { ErrorBody } from '../../src/http/error-body.js';
import type { JobReply } from '../../src/jobs/job-view.js';
import { ScriptedSlurm } from './scripted-slurm.js';

export const token = 'test-token-of-the-owner';

export interface Reply<T> {
  status: number;
  headers: Headers;
  text: string;
  json: T;
}

/** A job or an error, the replies that most tests examine. */
export type JobOrError = JobReply & ErrorBody;

/**
 * The whole API over HTTP on a free port, with SQLite and a scripted Slurm; starts in a moment.
 * Every reply is checked against its endpoint's schema; `close` fails if one broke it.
 */
export class TestApi {
  /** The header that makes a call the owner's. */
  readonly authorization = `Bearer ${token}`;
  /** The failures that the service logged as its own. */
  readonly faults: string[] = [];
  url = '';
  #app: App | undefined;

  private constructor(
    readonly root: string,
    readonly slurm: ScriptedSlurm,
  ) {}

  get #running(): App {
    if (this.#app === undefined) throw new Error('the API is not running');
    return this.#app;
  }

  get endpoints(): readonly Endpoint[] {
    return this.#running.endpoints;
  }

  get express(): Express {
    return this.#running.server.listeners('request')[0] as Express;
  }

  get port(): number {
    return (this.#running.server.address() as AddressInfo).port;
  }

  get layout(): Layout {
    return layoutOf(this.root);
  }

  /**
   * @param settings environment variables
   * @param folder in which it makes its own
   */
  static async start(
    settings: Record<string, string> = {},
    slurm = new ScriptedSlurm(),
    folder = tmpdir(),
  ): Promise<TestApi> {
    const root = await mkdtemp(join(folder, 'jr-api-'));
    const api = new TestApi(root, slurm);
    try {
      await api.#open(settings);
    } catch (error) {
      await rm(root, { recursive: true, force: true });
      throw error;
    }
    return api;
  }

  async #open(settings: Record<string, string>): Promise<void> {
    await prepareRoot(this.layout);
    await this.#serve(settings);
  }

  async #serve(settings: Record<string, string>): Promise<void> {
    const config = readConfig({
      JR_ROOT: this.root,
      JR_AUTH_TOKEN: token,
      JR_HOST: '127.0.0.1',
      JR_NUM_CPUS: '16',
      JR_REAL_MEM_MB: '32000',
      JR_SIMULATE_GPUS: '2',
      ...settings,
    });
    const log = pino({ level: 'warn' }, { write: (line) => this.#note(line) });
    this.#app = await openApp({ ...config, port: 0 }, this.layout, log, this.slurm);
    this.url = `http://127.0.0.1:${this.port}`;
  }

  #note(line: string): void {
    if (line.includes('"msg":"request failed"')) this.faults.push(line);
  }

  /** Stops the service, and starts it again as it is on the disk. @param meanwhile runs between */
  async restart(meanwhile: () => void): Promise<void> {
    await this.#app?.close();
    this.#app = undefined;
    meanwhile();
    await this.#serve({});
  }

  /**
   * @throws Error when the service failed by its own fault, or a reply broke its endpoint's schema.
   */
  async close(): Promise<void> {
    await this.#app?.close();
    await rm(this.root, { recursive: true, force: true });
    if (this.faults.length > 0) throw new Error(this.faults.join(''));
  }

  /** @param body sent as JSON, unless it is a form or bytes */
  async call<T = JobOrError>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Reply<T>> {
    const isRaw = body instanceof FormData || body instanceof Uint8Array;
    const response = await fetch(this.url + path, {
      method,
      headers: {
        Authorization: this.authorization,
        ...(body !== undefined && !isRaw && { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: isRaw ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false;
    const json = (isJson ? JSON.parse(text) : undefined) as T;
    return { status: response.status, headers: response.headers, text, json };
  }

  /** Submits a job of the template `shell`. */
  async submit(fields: Record<string, unknown> = {}) {
    return this.call('POST', '/jobs', { command_key: 'shell', command: 'true', ...fields });
  }

  /** Makes a token. @returns the header to send with a request of its holder */
  async tokenOf(user: string, role = 'user'): Promise<{ Authorization: string }> {
    const { json } = await this.call<{ token: string }>('POST', '/tokens', { user, role });
    return { Authorization: `Bearer ${json.token}` };
  }
}

/** Makes the files that the stack, as root, leaves for the API. */
async function prepareRoot(layout: Layout): Promise<void> {
  const { databaseFolder, results, jobLogs, jobScripts, sshJobs, screens } = layout;
  const folders = [databaseFolder, results, jobLogs, jobScripts, sshJobs, screens]
    .concat(layout.simulatedGpus, layout.slurmEtc, layout.workerArrivals)
    .concat(dirname(layout.jobEnded), dirname(layout.workersRecord), dirname(layout.sshStatus));
  for (const folder of folders) await mkdir(folder, { recursive: true });
  const gpus = [0, 1].map((index) => ({
    index,
    device: `/dev/null`,
    uuid: null,
    model: 'Simulated GPU',
    memoryMb: 16_384,
  }));
  await writeFile(layout.gpuMap, JSON.stringify(gpus));
  const smi = join(layout.simulatedGpus, 'nvidia-smi');
  await copyFile(join(packageRoot, 'docker', 'simulated-nvidia-smi.sh'), smi);
  await chmod(smi, 0o755);
  for (const { index } of gpus) await writeFile(join(layout.simulatedGpus, `gpu${index}`), '');
}
