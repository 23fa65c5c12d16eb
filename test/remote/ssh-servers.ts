import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { removeLink } from '../network-links.js';
import { until } from '../until.js';

/*
 * Machines as real as one machine allows: each is an sshd in its own network namespace, with its
 * own key and a temporary Unix user. A jump host is the only way to the two targets.
 */

const root = (file: string, ...args: string[]) =>
  execFileSync(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    .toString()
    .trim();

/** The rows of nvidia-smi about two GPUs of 80 GiB. */
export const twoGpus = Array.from({ length: 2 }, () => '81920, NVIDIA H100');

export class Machine {
  readonly #folder: string;
  readonly #namespace: number;
  /** Lines of sshd_config. */
  readonly #options: string[];

  #sshd: ChildProcess | undefined;
  said = '';

  constructor(
    readonly name: string,
    readonly address: string,
    readonly user: string,
    readonly home: string,
    folder: string,
    namespace: number,

    options: string[],
  ) {
    this.#folder = folder;
    this.#namespace = namespace;
    this.#options = options;
  }

  get port(): number {
    return 22;
  }

  /** The line of a known_hosts file. */
  get knownHost(): string {
    const [type, key] = readFileSync(join(this.#folder, 'host_key.pub'), 'utf8').split(' ');
    return `${this.address} ${type} ${key}`;
  }

  async start(): Promise<void> {
    const config = [
      `ListenAddress ${this.address}:22`,
      `HostKey ${join(this.#folder, 'host_key')}`,
      'PidFile none',
      'UsePAM no',
      `AllowUsers ${this.user}`,
      'StrictModes no',
      `AuthorizedKeysFile ${join(this.#folder, 'authorized_keys')}`,
      `SetEnv PATH=${join(this.#folder, 'bin')}:/usr/local/bin:/usr/bin:/bin`,
      ...this.#options,
      '',
    ].join('\n');
    writeFileSync(join(this.#folder, 'sshd_config'), config);
    const command = ['/usr/sbin/sshd', '-D', '-e', '-f', join(this.#folder, 'sshd_config')];
    this.#sshd = spawn('nsenter', [`--net=/proc/${this.#namespace}/ns/net`, ...command], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await new Promise<void>((fulfil, reject) => {
      this.#sshd?.stderr?.on('data', (chunk: Buffer) => {
        this.said = (this.said + chunk.toString()).slice(-100_000);
        if (this.said.includes('Server listening')) fulfil();
      });
      this.#sshd?.once('close', () => reject(new Error(`sshd of ${this.name}: ${this.said}`)));
    });
  }

  /** Stops accepting connections. */
  async stop(): Promise<void> {
    const sshd = this.#sshd;
    this.#sshd = undefined;
    if (sshd === undefined || sshd.exitCode !== null || sshd.signalCode !== null) return;
    sshd.kill('SIGTERM');
    await once(sshd, 'exit');
    this.said = '';
  }

  /** Ends all the user's processes and connections there, like a power cut. */
  killAll(): void {
    for (const pid of this.processes()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has already ended.
      }
    }
  }

  /** Returns the numbers of the user's processes. */
  processes(): number[] {
    try {
      return root('pgrep', '-u', this.user).split('\n').map(Number);
    } catch {
      return [];
    }
  }

  setHostKey(): void {
    rmSync(join(this.#folder, 'host_key'), { force: true });
    root('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(this.#folder, 'host_key'));
  }

  /** Makes nvidia-smi print these lines there: this machine has no GPU to show. */
  setNvidiaSmi(lines: readonly string[], code = 0): void {
    const bin = join(this.#folder, 'bin');
    mkdirSync(bin, { recursive: true });
    const script = ['#!/bin/sh', "cat <<'END'", ...lines, 'END', `exit ${code}`, ''].join('\n');
    writeFileSync(join(bin, 'nvidia-smi'), script, { mode: 0o755 });
  }

  allow(publicKey: string): void {
    writeFileSync(join(this.#folder, 'authorized_keys'), publicKey);
  }

  async remove(): Promise<void> {
    await this.stop();
    await until(`the processes of ${this.user} have ended`, (saw) => {
      const left = this.processes();
      saw(left);
      this.killAll();
      return left.length === 0;
    });
    root('userdel', this.user);
  }
}

export class SshWorld {
  readonly folder = mkdtempSync(join(tmpdir(), 'jr-ssh-'));
  readonly key = join(this.folder, 'id_ed25519');
  readonly #namespaces: ChildProcess[] = [];
  readonly machines: Machine[] = [];
  readonly #link = `jr${process.pid}`;
  jump!: Machine;
  targets!: [Machine, Machine];

  /** @param options lines of sshd_config for all */
  static async start(options: string[] = []): Promise<SshWorld> {
    if (userInfo().uid !== 0)
      throw new Error('run the tests as root: they make users and networks');
    const world = new SshWorld();
    try {
      await world.#start(options);
    } catch (error) {
      await world.close();
      throw error;
    }
    return world;
  }

  async #start(options: string[]): Promise<void> {
    chmodSync(this.folder, 0o755);
    mkdirSync('/run/sshd', { recursive: true });
    root('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', this.key);
    const net = `10.${100 + (process.pid % 100)}.${Math.floor(process.pid / 100) % 250}`;
    const [hub, one, two] = [
      await this.#namespace(),
      await this.#namespace(),
      await this.#namespace(),
    ];
    this.#wire([undefined, `${net}.1`], [hub, `${net}.2`], 'a');
    this.#wire([hub, `${net}.5`], [one, `${net}.6`], 'b');
    this.#wire([hub, `${net}.9`], [two, `${net}.10`], 'c');
    this.jump = this.#machine('jump', `${net}.2`, hub, options);
    this.targets = [
      this.#machine('gpu-0', `${net}.6`, one, options),
      this.#machine('gpu-1', `${net}.10`, two, options),
    ];
    for (const machine of this.machines) await machine.start();
  }

  /**
   * Cuts the link to the jump host, or restores it: packets vanish without an error.
   */
  cut(isCut: boolean): void {
    root('ip', 'link', 'set', `${this.#link}a0`, isCut ? 'down' : 'up');
  }

  /**
   * Limits the link's speed in each direction, in tc(8)'s bits a second; undefined removes the
   * limit.
   */
  limitRate(rate: string | undefined): void {
    const [hub] = this.#namespaces;
    const there = ['nsenter', `--net=/proc/${hub?.pid}/ns/net`];
    for (const [enter, name] of [
      [[], `${this.#link}a0`] as const,
      [there, `${this.#link}a1`] as const,
    ]) {
      const rule = ['tbf', 'rate', rate ?? '', 'burst', '64kb', 'latency', '1s'];
      const how =
        rate === undefined
          ? ['del', 'dev', name, 'root']
          : ['replace', 'dev', name, 'root', ...rule];
      const [file = '', ...args] = [...enter, 'tc', 'qdisc', ...how];
      root(file, ...args);
    }
  }

  get publicKey(): string {
    return readFileSync(`${this.key}.pub`, 'utf8');
  }

  async close(): Promise<void> {
    for (const machine of this.machines) await machine.remove();
    removeLink(`${this.#link}a0`);
    for (const holder of this.#namespaces) {
      holder.kill('SIGKILL');
      await once(holder, 'exit');
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #namespace(): Promise<number> {
    const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo up; exec sleep infinity'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#namespaces.push(holder);
    await once(holder.stdout, 'data');
    const { pid } = holder;
    if (pid === undefined) throw new Error('unshare did not start');
    root('nsenter', `--net=/proc/${pid}/ns/net`, 'ip', 'link', 'set', 'lo', 'up');
    return pid;
  }

  /** A veth(4) pair between two namespaces (undefined: ours). It disappears with either. */
  #wire(here: [number | undefined, string], there: [number, string], letter: string): void {
    const names = [`${this.#link}${letter}0`, `${this.#link}${letter}1`] as const;
    root('ip', 'link', 'add', names[0], 'type', 'veth', 'peer', 'name', names[1]);
    for (const [[namespace, address], name] of [
      [here, names[0]],
      [there, names[1]],
    ] as const) {
      if (namespace !== undefined) root('ip', 'link', 'set', name, 'netns', String(namespace));
      const enter = namespace === undefined ? [] : ['nsenter', `--net=/proc/${namespace}/ns/net`];
      const ip = (...args: string[]) => {
        const [file = '', ...rest] = [...enter, 'ip', ...args];
        root(file, ...rest);
      };
      ip('addr', 'add', `${address}/30`, 'dev', name);
      ip('link', 'set', name, 'up');
    }
  }

  #machine(name: string, address: string, namespace: number, options: string[]): Machine {
    const user = `jrt${process.pid}${name.replace(/\W/g, '').slice(0, 5)}`;
    const folder = join(this.folder, name);
    mkdirSync(folder);
    const home = join(folder, 'home');
    root('useradd', '--no-log-init', '-p', '*', '-s', '/bin/bash', '-m', '-d', home, user);
    const machine = new Machine(name, address, user, home, folder, namespace, options);
    this.machines.push(machine);
    machine.setHostKey();
    machine.allow(this.publicKey);
    machine.setNvidiaSmi(twoGpus);
    return machine;
  }
}
