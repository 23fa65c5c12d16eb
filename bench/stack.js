import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { freePorts } from '../test/free-ports.js';
import { HttpClient } from './http-client.js';
import { mainJs, searchPath } from './requirements.js';

const token = 'bench-token-0123456789';
const healthEveryMs = 20;
const lastWordsMs = 5000;

/** A whole JobRunner with a folder and ports of its own. */
export class Stack {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child;
  #output = '';

  /**
   * @param {import('./workspace.js').Workspace} workspace
   * @param {string} root
   * @param {Record<string, string>} env
   */
  constructor(workspace, root, env) {
    this.root = root;
    this.slurmConf = join(root, 'slurm', 'etc', 'slurm.conf');
    this.token = token;
    this.url = `http://127.0.0.1:${env.JR_PORT}`;
    this.client = new HttpClient(this.url, token, workspace.signal);
    this.env = env;
    this.workspace = workspace;
    workspace.defer(() => this.down());
  }

  /**
   * Prepares a stack without starting it.
   * @param {import('./workspace.js').Workspace} workspace
   * @param {string} name of its folder
   * @param {Record<string, string>} [settings] on top of the usual ones
   */
  static async prepare(workspace, name, settings = {}) {
    const root = join(workspace.root, name);
    await mkdir(root);
    await chmod(root, 0o755);
    const ports = (await freePorts(4)).map(String);
    return new Stack(workspace, root, {
      JR_ROOT: root,
      JR_HOST: '127.0.0.1',
      JR_PORT: ports[0] ?? '',
      JR_SLURMCTLD_PORT: ports[1] ?? '',
      JR_SLURMD_PORT: ports[2] ?? '',
      JR_SLURMDBD_PORT: ports[3] ?? '',
      JR_SIMULATE_GPUS: '1',
      JR_NUM_CPUS: '16',
      JR_AUTH_TOKEN: token,
      ...settings,
    });
  }

  /**
   * @param {import('./workspace.js').Workspace} workspace
   * @param {string} name
   * @param {Record<string, string>} [settings]
   */
  static async start(workspace, name, settings) {
    workspace.say('  starting JobRunner');
    const stack = await Stack.prepare(workspace, name, settings);
    await stack.up();
    return stack;
  }

  /** @returns {Promise<number>} seconds from its start until `/health` answered 200 */
  async up() {
    const { signal } = this.workspace;
    signal.throwIfAborted();
    this.#output = '';
    const started = performance.now();
    // A session of its own, so that Ctrl-C reaches only us, and we stop it in order.
    const child = spawn(process.execPath, [mainJs, 'stack'], {
      detached: true,
      env: { PATH: searchPath, ...this.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (this.#output += text));
    const closed = once(child, 'close');
    closed.catch(() => undefined);
    while (!(await this.#isHealthy())) {
      signal.throwIfAborted();
      if (child.exitCode !== null || child.signalCode !== null) {
        // Its last lines may still be in the pipe, which a leftover daemon may hold open.
        await Promise.race([closed, delay(lastWordsMs, undefined, { ref: false })]);
        throw new Error(`JobRunner ended with ${child.exitCode}: ${this.#output}`);
      }
      await delay(healthEveryMs, undefined, { signal });
    }
    return (performance.now() - started) / 1000;
  }

  /** Stops it; a second call does nothing. */
  async down() {
    this.client.close();
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
    endGroup(child);
  }

  /**
   * Runs a bash command line as a job.
   * @param {string} command
   * @param {object} [more] fields of the job
   * @returns {Promise<number>} the job's number
   */
  async runJob(command, more) {
    const id = await this.#submit(command, more);
    const { status } = await this.client.expect(200, 'GET', `/jobs/${id}?wait=60`);
    if (status !== 'COMPLETED') throw new Error(`job ${id} (${command}) is ${status}`);
    return id;
  }

  /**
   * Submits a bash command line as a job and waits until it runs.
   * @param {string} command
   */
  async startJob(command) {
    const id = await this.#submit(command);
    for (;;) {
      const { status } = await this.client.expect(200, 'GET', `/jobs/${id}`);
      if (status === 'RUNNING') return;
      if (status !== 'PENDING') throw new Error(`job ${id} (${command}) is ${status}`);
      await delay(healthEveryMs, undefined, { signal: this.workspace.signal });
    }
  }

  /**
   * @param {string} command
   * @param {object} [more]
   * @returns {Promise<number>} the job's number
   */
  async #submit(command, more) {
    const fields = { command_key: 'shell', command, mem_gb: 0.2, ...more };
    const { job_id: id } = await this.client.expect(201, 'POST', '/jobs', fields);
    return id;
  }

  /**
   * Measures the highest resident memory of the API since its start.
   * @returns {Promise<number>} bytes
   */
  async peakMemory() {
    const log = await readFile(join(this.root, 'logs', 'supervisord.log'), 'utf8');
    const pid = [...log.matchAll(/spawned: 'api' with pid (\d+)/g)].at(-1)?.[1];
    if (pid === undefined) throw new Error('supervisord.log names no process of the API');
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    if (!command.split('\0').includes('serve'))
      throw new Error(`process ${pid} is not the API but ${command}`);
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    const kib = /^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1];
    if (kib === undefined) throw new Error(`/proc/${pid}/status has no VmHWM`);
    return Number(kib) * 1024;
  }

  async #isHealthy() {
    try {
      return (await this.client.call('GET', '/health')).status === 200;
    } catch (error) {
      // Nobody listens yet, or the listener ended before it answered.
      if (['ECONNREFUSED', 'ECONNRESET'].includes(error?.code)) return false;
      throw error;
    }
  }
}

/**
 * Ends the processes that remain in the group of a stack that was stopped while making its
 * database.
 * @param {import('node:child_process').ChildProcess} child the group's leader, gone already
 */
function endGroup(child) {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if (error?.code !== 'ESRCH') throw error;
  }
}
