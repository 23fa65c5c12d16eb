import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { errnoOf } from '../../errors.js';

/** How long a job has to end by itself before it is killed. */
const graceMs = 10_000;
/** How long the rest of its output is waited for once it has ended. */
const drainMs = 2000;
const keptLogBytes = 64 * 1024;

export interface JobEnd {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  /** Why it could not be started. */
  error: string | null;
  /** The end of what it wrote. */
  log: string;
}

/**
 * A job in a process group of its own, which ends with it: what the job leaves behind there is killed. Should this process be killed, a guard
 * in a group of its own sees that, and kills the job: its lease would else run out while it still runs.
 */
export class JobProcess {
  readonly ended: Promise<JobEnd>;
  readonly #child: ChildProcess;
  readonly #guard: ChildProcess | undefined;
  #log = Buffer.alloc(0);

  /** @param onOutput gets what it writes */
  constructor(
    command: readonly string[],
    options: { cwd: string; env: NodeJS.ProcessEnv },
    onOutput: (bytes: Buffer) => void,
  ) {
    const [file = '', ...args] = command;
    this.#child = spawn(file, args, {
      ...options,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { pid, stdout, stderr } = this.#child;
    for (const stream of [stdout, stderr])
      stream?.on('data', (bytes: Buffer) => {
        this.#log = Buffer.concat([this.#log, bytes]).subarray(-keptLogBytes);
        onOutput(bytes);
      });
    if (pid !== undefined) this.#guard = guard(pid);
    this.ended = this.#wait();
  }

  /** Asks it to end, and soon makes it. */
  async stop(): Promise<void> {
    this.#kill('SIGTERM');
    const timer = setTimeout(() => this.#kill('SIGKILL'), graceMs);
    await this.ended;
    clearTimeout(timer);
  }

  async #wait(): Promise<JobEnd> {
    let error: string | null = null;
    const closed = once(this.#child, 'close').catch((cause: unknown) => {
      error = `${this.#child.spawnfile} cannot be started (${errnoOf(cause) ?? String(cause)})`;
    });
    // What it has started may still hold its output open; in a session of its own it is out of our reach, and may do so for ever.
    let draining: NodeJS.Timeout | undefined;
    this.#child.once('exit', () => {
      this.#kill('SIGKILL');
      draining = setTimeout(() => {
        this.#child.stdout?.destroy();
        this.#child.stderr?.destroy();
      }, drainMs);
    });
    await closed;
    clearTimeout(draining);
    this.#guard?.kill('SIGKILL');
    const { exitCode, signalCode: signal } = this.#child;
    return { exitCode, signal, error, log: this.#log.toString() };
  }

  #kill(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch (error) {
      if (errnoOf(error) !== 'ESRCH') throw error;
    }
  }
}

/** Its standard input ends when we do, however that happens. */
function guard(group: number): ChildProcess {
  const child = spawn('sh', ['-c', 'cat; kill -s KILL -- "-$1"', 'sh', String(group)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without a shell there is no guard; the job runs all the same.
  child.on('error', () => undefined);
  child.stdin?.on('error', () => undefined);
  return child;
}
