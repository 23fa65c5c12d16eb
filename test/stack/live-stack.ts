import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../free-ports.js';
import { makePreparedRoot } from './prepared-root.js';
import { until } from '../until.js';

const mainJs = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

export interface Reply<T> {
  status: number;
  headers: Headers;
  text: string;
  json: T;
}

export interface JobReply {
  job_id: number;
  slurm_job_id: number | null;
  status: string;
  exit_code: number | null;
  signal: number | null;
  failure: string | null;
  message: string | null;
  reason: string | null;
  experiment_id: string;
  error: { code: string; message: string; details?: Record<string, unknown> };
}

/** Runs `jobrunner stack` until it ends. */
export async function runStackOnce(env: Record<string, string>) {
  const child = launch(env);
  const output = collect(child);
  // Not at `exit`: its last output may still be in the pipe.
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...output() };
}

function launch(env: Record<string, string>, through: string[] = []): ChildProcess {
  const [command = '', ...args] = [...through, process.execPath, mainJs, 'stack'];
  return spawn(command, args, {
    // The tester's own settings must not leak in.
    env: { PATH: process.env['PATH'] ?? '', NODE_ENV: 'test', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function collect(child: ChildProcess): () => { stdout: string; stderr: string } {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return () => ({ stdout, stderr });
}

/** Resolves with the exit code, once the last output has been read. */
async function endOf(child: ChildProcess): Promise<number | null> {
  const closed = once(child, 'close');
  closed.catch(() => undefined);
  const [code] = (await once(child, 'exit')) as [number | null];
  // A leftover daemon may hold the pipe open for ever.
  await Promise.race([closed, setTimeout(5000, undefined, { ref: false })]);
  return code;
}

/** A whole Slurm with its API, with its own folder and ports. */
export class LiveStack {
  readonly #through: string[];

  readonly url: string;
  #child: ChildProcess | undefined;
  #output: () => { stdout: string; stderr: string } = () => ({ stdout: '', stderr: '' });
  #ended: Promise<number | null> = Promise.resolve(null);

  private constructor(
    readonly root: string,
    readonly env: Record<string, string>,
    readonly token: string,
    through: string[],
  ) {
    this.#through = through;

    this.url = `http://127.0.0.1:${env['JR_PORT']}`;
  }

  /**
   * Starts a stack over a root of its own, or over `JR_ROOT`.
   * @param through a command that runs the stack, such as one that drops capabilities
   */
  static async start(
    settings: Record<string, string> = {},
    through: string[] = [],
  ): Promise<LiveStack> {
    const root =
      settings['JR_ROOT'] ?? (await makePreparedRoot((path) => LiveStack.#runOnce(path)));
    const [api, slurmctld, slurmd, slurmdbd, workerSlurmd] = await freePorts(5);
    // Consecutive ports of our own; otherwise stacks with SSH hosts that start together choose the
    // same ones.
    const [sshSlurmd] = settings['JR_SSH_NODES'] === undefined ? [] : await freePorts(8);
    // Unique, so that a search of all processes finds no other test's token.
    const token = `test-token-${randomUUID()}`;
    const env = {
      JR_ROOT: root,
      JR_HOST: '127.0.0.1',
      JR_PORT: String(api),
      JR_SLURMCTLD_PORT: String(slurmctld),
      JR_SLURMD_PORT: String(slurmd),
      JR_SLURMDBD_PORT: String(slurmdbd),
      JR_WORKER_SLURMD_PORT: String(workerSlurmd),
      ...(sshSlurmd !== undefined && { JR_SSH_SLURMD_PORT: String(sshSlurmd) }),
      JR_SIMULATE_GPUS: '2',
      // More CPUs than there are, so that many small jobs run side by side.
      JR_NUM_CPUS: '16',
      JR_AUTH_TOKEN: token,
      ...settings,
    };
    const stack = new LiveStack(root, env, token, through);
    try {
      await stack.up();
    } catch (error) {
      await stack.remove();
      throw error;
    }
    return stack;
  }

  static async #runOnce(root: string): Promise<void> {
    const stack = await LiveStack.start({ JR_ROOT: root });
    const code = await stack.down();
    if (code !== 0) throw new Error(`the stack ended with ${code}\n${stack.stdout}${stack.stderr}`);
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error('the stack is not running');
    return pid;
  }

  get stdout(): string {
    return this.#output().stdout;
  }

  get stderr(): string {
    return this.#output().stderr;
  }

  async up(): Promise<void> {
    const child = launch(this.env, this.#through);
    this.#child = child;
    this.#output = collect(child);
    this.#ended = endOf(child);
    this.#ended.catch(() => undefined);
    const exited = this.#ended.then((code) => {
      const { stdout, stderr } = this.#output();
      throw new Error(`the stack ended with ${String(code)}\n${stdout}${stderr}`);
    });
    exited.catch(() => undefined);
    const ready = new Promise<void>((resolve) => {
      child.stdout?.on('data', () => {
        if (this.stdout.includes('JobRunner is ready')) resolve();
      });
    });
    await Promise.race([ready, exited]);
  }

  /** Stops it, unless it has ended. @returns the exit code, once its last output has been read */
  async down(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    // `kill` does nothing to an ended process.
    this.#child?.kill(signal);
    return this.#ended;
  }

  async remove(): Promise<void> {
    await this.down();
    await rm(this.root, { recursive: true, force: true });
  }

  async call<T = JobReply>(
    method: string,
    path: string,
    init: RequestInit = {},
  ): Promise<Reply<T>> {
    const response = await fetch(this.url + path, {
      method,
      ...init,
      headers: { Authorization: `Bearer ${this.token}`, ...init.headers },
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false;
    const json = (isJson ? JSON.parse(text) : undefined) as T;
    return { status: response.status, headers: response.headers, text, json };
  }

  async submit(fields: Record<string, unknown>, headers: Record<string, string> = {}) {
    return this.call('POST', '/jobs', {
      body: JSON.stringify(fields),
      headers: { 'Content-Type': 'application/json', ...headers },
    });
  }

  /** Returns the header for requests of a user of that name, with a new token. */
  async asUser(user: string): Promise<{ Authorization: string }> {
    const { status, text, json } = await this.call<{ token: string }>('POST', '/tokens', {
      body: JSON.stringify({ user, days: 1 }),
      headers: { 'Content-Type': 'application/json' },
    });
    if (status !== 201) throw new Error(`no token: ${status} ${text}`);
    return { Authorization: `Bearer ${json.token}` };
  }

  /**
   * Submits and waits for the end. @param statuses that count as accepted: also 202 if Slurm may
   * not accept jobs yet @throws when it is not accepted or does not end in two minutes
   */
  async run(
    fields: Record<string, unknown>,
    headers: Record<string, string> = {},
    statuses: readonly number[] = [201],
  ): Promise<JobReply & { log: string }> {
    const submitted = await this.submit(fields, headers);
    if (!statuses.includes(submitted.status))
      throw new Error(`not accepted: ${submitted.status} ${submitted.text}`);
    return this.finish(submitted.json.job_id);
  }

  async shell(command: string, fields: Record<string, unknown> = {}, statuses?: readonly number[]) {
    return this.run({ command_key: 'shell', command, mem_gb: 0.2, ...fields }, {}, statuses);
  }

  /** @throws when the job does not end in two minutes. */
  async finish(jobId: number): Promise<JobReply & { log: string }> {
    const { json } = await this.call('GET', `/jobs/${jobId}?wait=120`);
    if (['SUBMITTING', 'PENDING', 'RUNNING', 'COMPLETING'].includes(json.status))
      throw new Error(`job ${jobId} is still ${json.status} after two minutes: ${json.reason}`);
    const { text: log } = await this.call('GET', `/jobs/${jobId}/log`);
    return { ...json, log };
  }

  /** Waits until the job is in that state. */
  async until(jobId: number, status: string): Promise<void> {
    await until(`job ${jobId} is ${status}`, async (saw) => {
      const { json } = await this.call('GET', `/jobs/${jobId}`);
      saw(`${json.status} (${json.reason ?? json.message})`);
      return json.status === status;
    });
  }

  /** Waits until the job's log holds these words. */
  async says(jobId: number, words: RegExp | string): Promise<void> {
    await until(`the log of job ${jobId} holds ${words}`, async (saw) => {
      const { text } = await this.call('GET', `/jobs/${jobId}/log`);
      saw(text);
      return typeof words === 'string' ? text.includes(words) : words.test(text);
    });
  }

  /** Kills the API and waits until the supervisor's next one answers. */
  async killApi(): Promise<void> {
    const killed = await this.pidOf('api');
    process.kill(killed, 'SIGKILL');
    await until('the API is back after it was killed', async () => {
      if ((await this.pidOf('api')) === killed) return false;
      return fetch(`${this.url}/health`).catch(() => undefined);
    });
  }

  /** Returns the process id of a daemon, from the supervisor's log. */
  async pidOf(program: string): Promise<number> {
    const log = await readFile(join(this.root, 'logs', 'supervisord.log'), 'utf8');
    const spawned = [...log.matchAll(new RegExp(`spawned: '${program}' with pid (\\d+)`, 'g'))];
    const pid = spawned.at(-1)?.[1];
    if (pid === undefined) throw new Error(`${program} was never started`);
    return Number(pid);
  }
}
