import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import type { IncomingMessage } from 'node:http';
import { errnoOf } from '../../errors.js';
import type { Layout } from '../../config/layout.js';

/** Debian's supervisord with one configuration; restarts daemons that die. */
export class Supervisor {
  readonly #process: ChildProcess;
  readonly #layout: Layout;
  readonly exited: Promise<void>;

  private constructor(child: ChildProcess, layout: Layout) {
    this.#process = child;
    this.#layout = layout;
    this.exited = once(child, 'exit').then(() => undefined);
  }

  /**
   * Starts it in a session of its own, so that Ctrl-C reaches only us and the daemons stop in
   * order.
   */
  static async start(layout: Layout): Promise<Supervisor> {
    // A killed supervisord leaves its socket behind, where nothing answers.
    rmSync(layout.supervisorSocket, { force: true });
    // Only root may read the logs: the API's may quote a caller or a store. supervisord's own umask
    // setting has no effect in the foreground.
    const umask = ['-c', 'umask 027 && exec "$0" "$@"'];
    const command = ['/usr/bin/supervisord', '-n', '-c', layout.supervisorConf];
    const child = spawn('/bin/sh', [...umask, ...command], {
      detached: true,
      stdio: 'ignore',
      // Hand down no variable of ours: the settings contain secrets.
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' },
    });
    await once(child, 'spawn');
    const supervisor = new Supervisor(child, layout);
    while (!(await supervisor.#answers())) {
      if (child.exitCode !== null)
        throw new Error(`supervisord ended with ${child.exitCode}; see supervisord.log`);
      await delay(20);
    }
    return supervisor;
  }

  /** Starts a program and returns at once, before the program answers. */
  async startProgram(name: string): Promise<void> {
    await this.#call('supervisor.startProcess', name, false);
  }

  /** Starts a program unless it runs. */
  async startIfStopped(name: string): Promise<void> {
    await this.startProgram(name).catch((error: unknown) => {
      if (!String(error).includes('ALREADY_STARTED')) throw error;
    });
  }

  /** Stops a program unless it is stopped. */
  async stopProgram(name: string): Promise<void> {
    await this.#call('supervisor.stopProcess', name, true).catch((error: unknown) => {
      if (!String(error).includes('NOT_RUNNING')) throw error;
    });
  }

  /** Returns the pid of a program. @returns undefined while none of its processes runs. */
  async pidOf(name: string): Promise<number | undefined> {
    const info = await this.#call('supervisor.getProcessInfo', name);
    const [, pid] = /<name>pid<\/name>\s*<value><int>(\d+)<\/int>/.exec(info) ?? [];
    if (pid === undefined) throw new Error(`supervisord reported no pid of ${name}: ${info}`);
    return Number(pid) || undefined;
  }

  /** Rereads its configuration; running programs continue. */
  async reload(): Promise<void> {
    await this.#call('supervisor.reloadConfig');
  }

  /**
   * Adds a program that the configuration has since {@link reload}; leaves a known one as it is.
   */
  async addProgram(name: string): Promise<void> {
    await this.#call('supervisor.addProcessGroup', name).catch((error: unknown) => {
      if (!String(error).includes('ALREADY_ADDED')) throw error;
    });
  }

  /** Stops a program and forgets it. */
  async removeProgram(name: string): Promise<void> {
    await this.stopProgram(name);
    await this.#call('supervisor.removeProcessGroup', name);
  }

  /** Stops these programs side by side, then all others, the last started first, and ends. */
  async shutdown(sideBySide: readonly string[] = []): Promise<void> {
    // supervisord checks for ended children once a second, and at every call.
    const knocking = setInterval(() => this.#knock(), 50);
    try {
      if (this.#process.exitCode === null && this.#process.signalCode === null) {
        await Promise.all(sideBySide.map((name) => this.stopProgram(name)));
        this.#process.kill('SIGTERM');
      }
      await this.exited;
    } finally {
      clearInterval(knocking);
    }
  }

  /** Wakes it; once it has ended, it needs no waking. */
  #knock(): void {
    const socket = connect(this.#layout.supervisorSocket);
    socket.on('error', () => socket.destroy()).end();
  }

  /** Returns whether it answers: its socket exists a moment before it listens. */
  async #answers(): Promise<boolean> {
    try {
      await this.#call('supervisor.getState');
      return true;
    } catch (error) {
      const code = errnoOf(error);
      if (code !== 'ENOENT' && code !== 'ECONNREFUSED') throw error;
      return false;
    }
  }

  /**
   * Calls XML-RPC as supervisord.org/api.html describes it; supervisorctl would start a Python for
   * each call.
   */
  async #call(method: string, ...args: (string | boolean)[]): Promise<string> {
    const params = args.map((arg) => {
      const value =
        typeof arg === 'string' ? `<string>${arg}</string>` : `<boolean>${arg ? 1 : 0}</boolean>`;
      return `<param><value>${value}</value></param>`;
    });
    const body = `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>${params.join('')}</params></methodCall>`;
    const call = request({
      socketPath: this.#layout.supervisorSocket,
      path: '/RPC2',
      method: 'POST',
      headers: { 'Content-Type': 'text/xml', 'Content-Length': Buffer.byteLength(body) },
    });
    call.end(body);
    const [reply] = (await once(call, 'response')) as [IncomingMessage];
    const answer = await text(reply);
    if (reply.statusCode !== 200 || answer.includes('<fault>'))
      throw new Error(
        `${method} ${args.join(' ')}: ${/<string>(.*?)<\/string>/.exec(answer)?.[1] ?? answer}`,
      );
    return answer;
  }
}
