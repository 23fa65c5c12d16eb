import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { until } from '../until.js';

export interface Reply {
  status: number;
  text: string;
  /** The reply's JSON. */
  body: {
    error?: { code: string; message: string; details?: Record<string, unknown> };
    [field: string]: unknown;
  };
}

export interface ServerSettings {
  root: string;
  uploadBytes?: number;
  /** The step in the service's debug log at which the service is killed. */
  crashAt?: string;
  inUse?: string[];
}

/** The dataset service as a child process, and curl to talk to it. */
export class DataServer {
  private constructor(
    readonly child: ChildProcess,
    readonly url: string,
    readonly root: string,
  ) {}

  static async start(program: string, settings: ServerSettings): Promise<DataServer> {
    const argument = JSON.stringify({ uploadBytes: 0, inUse: [], ...settings });
    const child = spawn(process.execPath, ['--expose-gc', program, argument], {
      stdio: ['ignore', 'pipe', process.env['SHOW_LOG'] ? 'inherit' : 'ignore'],
    });
    const port = await new Promise<string>((resolve, reject) => {
      child.stdout?.once('data', (line: Buffer) => resolve(line.toString().trim()));
      child.once('exit', (code, signal) => reject(new Error(`ended: ${code ?? signal}`)));
    });
    return new DataServer(child, `http://127.0.0.1:${port}`, settings.root);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGTERM');
    await once(this.child, 'exit');
  }

  /** Runs curl on a path below the server's address. */
  async curl(path: string, ...args: string[]): Promise<Reply> {
    const { stdout } = await execa(
      'curl',
      ['-sS', '--path-as-is', '-w', '\n%{http_code}', ...args, this.url + path],
      { stdin: 'ignore' },
    );
    const end = stdout.lastIndexOf('\n');
    const text = stdout.slice(0, end);
    return {
      status: Number(stdout.slice(end + 1)),
      text,
      body: text.startsWith('{') ? (JSON.parse(text) as Reply['body']) : {},
    };
  }

  put(file: string, sha256: string, query = ''): Promise<Reply> {
    return this.curl(`/datasets/${sha256}${query}`, '-T', file);
  }

  upload(...form: string[]): Promise<Reply> {
    return this.curl('/datasets/upload', ...form.flatMap((field) => ['-F', field]));
  }

  folderOf(sha256: string): string {
    return join(this.root, 'datasets', sha256.slice(0, 2), sha256);
  }

  /** Lists the folders where uploads are made and removed. */
  leftovers(): string[] {
    return ['.incoming', '.trash'].flatMap((name) =>
      readdirSync(join(this.root, 'datasets', name)),
    );
  }

  /** Digests that have a folder. */
  stored(): string[] {
    const datasets = join(this.root, 'datasets');
    return readdirSync(datasets)
      .filter((name) => /^[0-9a-f]{2}$/.test(name))
      .flatMap((name) => readdirSync(join(datasets, name)));
  }

  /** Bytes of its heap and buffers that are in use, once it has no other connection. */
  async memoryInUse(): Promise<number> {
    return until('the server has no other connection', async (saw) => {
      const { connections, inUse } = (await this.curl('/memory')).body;
      saw(connections);
      return connections === 1 && Number(inUse);
    });
  }

  openDescriptors(): number {
    return readdirSync(`/proc/${this.child.pid}/fd`).length;
  }
}

export async function makeTempFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'jr-datasets-'));
}

export async function removeFolder(path: string): Promise<void> {
  if (existsSync(path)) await rm(path, { recursive: true, force: true });
}

export function sha256Of(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
