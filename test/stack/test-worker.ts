import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeLink } from '../network-links.js';
import type { LiveStack } from './live-stack.js';
import { makeRoot } from './prepared-root.js';
import { until } from '../until.js';

const mainJs = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** Returns the token that `jobrunner worker token` prints for that stack. */
export function joinToken(stack: LiveStack, ...options: string[]): string {
  const args = [mainJs, 'worker', 'token', ...options];
  const env = { PATH: process.env['PATH'] ?? '', JR_ROOT: stack.root };
  return execFileSync(process.execPath, args, { env, encoding: 'utf8' }).trim();
}

/**
 * A worker with its own network, its own processes, and its own folder under the path of the
 * controller's JR_ROOT. All are in the namespaces of one process, whose death ends them like a
 * power cut.
 */
export class TestWorker {
  readonly #child: ChildProcess;
  readonly #link: string;
  readonly #env: Record<string, string>;

  #said = '';
  /** Not at `exit`: its last output may still be in the pipe. */
  readonly #closed: Promise<unknown>;

  private constructor(
    readonly root: string,
    child: ChildProcess,
    link: string,
    env: Record<string, string>,
    /** The controller's address on the link between the two. */
    readonly near: string,
  ) {
    this.#child = child;
    this.#link = link;
    this.#env = env;

    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    this.#closed = once(child, 'close');
    this.#closed.catch(() => undefined);
  }

  /**
   * Starts a worker. Use {@link ready} or {@link ended} to learn whether it joins.
   * @param through a command that runs the worker, such as one that drops capabilities
   */
  static async start(
    stack: LiveStack,
    token: string,
    settings: Record<string, string> = {},
    root?: string,
    through: string[] = [],
  ): Promise<TestWorker> {
    const folder = root ?? (await makeRoot());
    const ours = readFileSync('/proc/self/stat', 'utf8').split(' ')[0] ?? '';
    const number = nextNumber++;
    const link = `jr${ours}n${number}`;
    const [near, far] = cableEnds(Number(ours) * 32 + number);
    const isolate = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
    // The worker waits here for a line, until its network link exists.
    const script = 'read -r _ && mount --rbind "$0" "$1" && shift && exec "$@"';
    const env = {
      PATH: process.env['PATH'] ?? '',
      JR_ROLE: 'worker',
      JR_ROOT: stack.root,
      JR_CONTROLLER: `${near}:${stack.env['JR_JOIN_PORT']}`,
      JR_JOIN_TOKEN: token,
      JR_SIMULATE_GPUS: '3',
      JR_NUM_CPUS: '8',
      ...settings,
    };
    const child = spawn(
      'unshare',
      [
        ...[...isolate, 'sh', '-c', script, folder, stack.root],
        ...[...through, process.execPath, mainJs, 'stack'],
      ],
      {
        env,
        stdio: ['pipe', 'pipe', 'pipe'],
      },
    );
    const worker = new TestWorker(folder, child, link, env, near);
    started.add(worker);
    await once(child, 'spawn');
    const pid = await worker.#innerPid();
    run('ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'far', 'netns', String(pid));
    run('ip', 'addr', 'add', `${near}/30`, 'dev', link);
    run('ip', 'link', 'set', link, 'up');
    const net = [`--net=/proc/${pid}/ns/net`];
    const there = [...net, 'ip'];
    run('nsenter', ...there, 'addr', 'add', `${far}/30`, 'dev', 'far');
    run('nsenter', ...there, 'link', 'set', 'far', 'up');
    run('nsenter', ...there, 'link', 'set', 'lo', 'up');
    // As on a rented machine: nothing reaches it but answers, and of the controller only the join
    // port.
    const { JR_JOIN_PORT: joinPort = '' } = stack.env;
    for (const [chain, device, end] of [
      ['INPUT', '-i', '--sport'],
      ['OUTPUT', '-o', '--dport'],
    ] as const) {
      const rule = ['iptables', '-w', '-A', chain, device, 'far'];
      run('nsenter', ...net, ...rule, '-p', 'tcp', end, joinPort, '-j', 'ACCEPT');
      run('nsenter', ...net, ...rule, '-j', 'DROP');
    }
    child.stdin?.end('go\n');
    return worker;
  }

  get said(): string {
    return this.#said;
  }

  /** Resolves once it is part of the cluster. @throws when it ends instead */
  async ready(): Promise<void> {
    const ended = this.#closed.then(() => {
      throw new Error(`the worker ended:\n${this.#said}`);
    });
    ended.catch(() => undefined);
    const isReady = new Promise<void>((resolve) => {
      const look = () => {
        if (this.#said.includes('JobRunner is ready')) resolve();
      };
      this.#child.stdout?.on('data', look);
      look();
    });
    await Promise.race([isReady, ended]);
  }

  /** Resolves with all its output once it has ended by itself. */
  async ended(): Promise<string> {
    await this.#closed;
    return this.#said;
  }

  /**
   * Makes the file `go` in a job's folder there. Slurm reports RUNNING before the worker has made
   * the folder.
   */
  async letGo(jobId: number): Promise<void> {
    const folder = join(this.root, 'results', String(jobId));
    await until(`job ${jobId} has begun on its worker`, () => existsSync(folder));
    writeFileSync(join(folder, 'go'), '');
  }

  /** Connects or cuts the link. */
  setLink(state: 'up' | 'down'): void {
    run('ip', 'link', 'set', this.#link, state);
  }

  /**
   * Limits the link's speed in each direction, in tc(8)'s bits a second; undefined removes the
   * limit.
   */
  async limitRate(rate: string | undefined): Promise<void> {
    const there = ['nsenter', `--net=/proc/${await this.#innerPid()}/ns/net`];
    for (const [through, device] of [[[], this.#link] as const, [there, 'far'] as const]) {
      const root = ['dev', device, 'root'];
      const rule = ['tbf', 'rate', rate ?? '', 'burst', '64kb', 'latency', '1s'];
      const how = rate === undefined ? ['del', ...root] : ['add', ...root, ...rule];
      const [command = '', ...args] = [...through, 'tc', 'qdisc', ...how];
      run(command, ...args);
    }
  }

  /** Returns the bytes sent to the worker and received from it. */
  bytes(direction: 'tx' | 'rx'): number {
    return Number(
      readFileSync(`/sys/class/net/${this.#link}/statistics/${direction}_bytes`, 'utf8'),
    );
  }

  /** Runs a `jobrunner` command there. */
  async jobrunner(...args: string[]): Promise<{ code: number | null; said: string }> {
    const there = ['--target', String(await this.#innerPid()), '--net', '--mount', '--pid'];
    const child = spawn('nsenter', [...there, process.execPath, mainJs, ...args], {
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (said += text));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, said };
  }

  /** What a command there prints. */
  async runThere(...command: string[]): Promise<string> {
    const there = ['--target', String(await this.#innerPid()), '--net', '--mount', '--pid'];
    return execFileSync('nsenter', [...there, ...command], { encoding: 'utf8' });
  }

  /** Kills one of the daemons there outright; the supervisor starts it again. */
  async kill(program: string): Promise<void> {
    const log = readFileSync(join(this.root, 'logs', 'supervisord.log'), 'utf8');
    const spawned = [...log.matchAll(new RegExp(`spawned: '${program}' with pid (\\d+)`, 'g'))];
    await this.runThere('kill', '-KILL', spawned.at(-1)?.[1] ?? '');
  }

  /** Stops the worker as Ctrl-C does. */
  async leave(): Promise<string> {
    process.kill(await this.#innerPid(), 'SIGTERM');
    return this.ended();
  }

  async cutPower(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended();
  }

  /** Removes all remaining workers, also after a failed test. */
  static async removeAll(): Promise<void> {
    for (const worker of started) await worker.remove();
  }

  async remove(): Promise<void> {
    started.delete(this);
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.cutPower();
    removeLink(this.#link);
    await rm(this.root, { recursive: true, force: true });
  }

  /** Returns the first process in the namespaces. */
  async #innerPid(): Promise<number> {
    const path = `/proc/${this.#child.pid}/task/${this.#child.pid}/children`;
    return until('unshare has a child', async () => {
      const inner = readFileSync(path, 'utf8').trim().split(' ')[0];
      if (inner) return Number(inner);
      if (this.#child.exitCode !== null || this.#child.signalCode !== null)
        throw new Error(`unshare ended: ${await this.ended()}`);
      return undefined;
    });
  }
}

/**
 * Returns the two addresses of a link, from the range for network tests (RFC 2544). No other
 * worker, and no other program on this machine, has the same.
 */
function cableEnds(index: number): [string, string] {
  const net = (index * 4) % 2 ** 17;
  const address = (host: number) =>
    `198.${18 + (net >> 16)}.${(net >> 8) & 255}.${(net & 255) + host}`;
  return [address(1), address(2)];
}

let nextNumber = 1;
const started = new Set<TestWorker>();

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}
