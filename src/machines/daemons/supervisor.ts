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

/** Debian's supervisord over one configuration; restarts what dies. */
export class Supervisor {
  readonly #process: ChildProcess;
  readonly #layout: Layout;
  readonly exited: Promise<void>;

  private constructor(child: ChildProcess, layout: Layout) {
    this.#process = child;
    this.#layout = layout;
    this.exited = once(child, 'exit').then(() => undefined);
  }

  /** Starts it in a session of its own, so that Ctrl-C reaches only us and the daemons stop in order. */
  static async start(layout: Layout): Promise<Supervisor> {
    // One that was killed leaves its socket behind, at which nobody answers.
    rmSync(layout.supervisorSocket, { force: true });
    // Logs are root's alone: the API's may quote what a caller or a store said. supervisord's own setting for that does nothing
    // in the foreground.
    const umask = ['-c', 'umask 027 && exec "$0" "$@"'];
    const command = ['/usr/bin/supervisord', '-n', '-c', layout.supervisorConf];
    const child = spawn('/bin/sh', [...umask, ...command], {
      detached: true,
      stdio: 'ignore',
      // Nothing of ours is handed down: the settings hold secrets.
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

  /** Returns as soon as the program is started; whether it answers is another question. */
  async startProgram(name: string): Promise<void> {
    await this.#call('supervisor.startProcess', name, false);
  }

  /** One that runs is left as it is. */
  async startIfStopped(name: string): Promise<void> {
    await this.startProgram(name).catch((error: unknown) => {
      if (!String(error).includes('ALREADY_STARTED')) throw error;
    });
  }

  /** One that is not running is stopped already. */
  async stopProgram(name: string): Promise<void> {
    await this.#call('supervisor.stopProcess', name, true).catch((error: unknown) => {
      if (!String(error).includes('NOT_RUNNING')) throw error;
    });
  }

  /** @returns undefined while no process of the program runs. */
  async pidOf(name: string): Promise<number | undefined> {
    const info = await this.#call('supervisor.getProcessInfo', name);
    const [, pid] = /<name>pid<\/name>\s*<value><int>(\d+)<\/int>/.exec(info) ?? [];
    if (pid === undefined) throw new Error(`supervisord told no pid of ${name}: ${info}`);
    return Number(pid) || undefined;
  }

  /** Reads its configuration anew; what runs goes on. */
  async reload(): Promise<void> {
    await this.#call('supervisor.reloadConfig');
  }

  /** Takes in a program that stands in the configuration since {@link reload}; one that it has is left as it is. */
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
    // It looks for children that ended once a second, and whenever somebody calls.
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

  /** Wakes it; one that has ended needs no waking. */
  #knock(): void {
    const socket = connect(this.#layout.supervisorSocket);
    socket.on('error', () => socket.destroy()).end();
  }

  /** Its socket is there a moment before it listens at it. */
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

  /** XML-RPC as supervisord.org/api.html gives it; supervisorctl would start a Python for each call. */
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
