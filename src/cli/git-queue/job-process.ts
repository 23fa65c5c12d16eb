import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { errnoOf } from '../../errors.js';

/** Time for a job to end by itself before it is killed. */
const graceMs = 10_000;
/** Time for the rest of its output after it has ended. */
const drainMs = 2000;
const keptLogBytes = 64 * 1024;

export interface JobEnd {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  /** Reason for which the job could not be started. */
  error: string | null;
  /** The last part of its output. */
  log: string;
}

/**
 * Runs a job in a process group of its own, and kills the rest of the group when the job ends. A
 * guard process in another group kills the job when this process is killed; otherwise the job would
 * outlive its lease.
 */
export class JobProcess {
  readonly ended: Promise<JobEnd>;
  readonly #child: ChildProcess;
  readonly #guard: ChildProcess | undefined;
  #log = Buffer.alloc(0);

  /** @param onOutput receives the job's output */
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

  /** Asks the job to end, and kills it soon after. */
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
    // Processes that the job started in other sessions may hold its output open for ever; they are
    // beyond our reach.
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

/** Starts the guard: its stdin ends with this process, however this process ends. */
function guard(group: number): ChildProcess {
  const child = spawn('sh', ['-c', 'cat; kill -s KILL -- "-$1"', 'sh', String(group)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without a shell there is no guard; the job runs without it.
  child.on('error', () => undefined);
  child.stdin?.on('error', () => undefined);
  return child;
}
