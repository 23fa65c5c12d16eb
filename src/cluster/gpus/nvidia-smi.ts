import { execa } from 'execa';
import type { Gpu } from './gpu.js';
import {
  parseProcesses,
  parseUsage,
  processArguments,
  usageArguments,
  type SmiProcess,
  type SmiUsage,
} from './nvidia-smi-output.js';
import { smiUuid } from './simulated.js';

/** A driver with a failing GPU can take this long to report it. */
const timeoutMs = 20_000;

export interface Usage {
  /** Figures by the GPU's index; a missing GPU did not answer. */
  usage: Map<number, SmiUsage>;
  /** Reason in nvidia-smi's words why some or all are missing. */
  problem: string;
}

/**
 * Asks nvidia-smi about all GPUs, in one process. A failure of nvidia-smi is no error here: a GPU
 * may be lost.
 */
export class NvidiaSmi {
  readonly #command: string;
  readonly #gpus: readonly Gpu[];

  constructor(command: string, gpus: readonly Gpu[]) {
    this.#command = command;
    this.#gpus = gpus;
  }

  async usage(): Promise<Usage> {
    const { stdout, problem } = await this.#ask(usageArguments);
    return { usage: this.#byIndex(parseUsage(stdout)), problem };
  }

  /** Lists the processes on each GPU. */
  async processes(): Promise<Map<number, SmiProcess[]>> {
    const { stdout } = await this.#ask(processArguments);
    const listed = parseProcesses(stdout);
    return new Map(
      this.#gpus.map((gpu) => [gpu.index, listed.filter(({ uuid }) => uuid === smiUuid(gpu))]),
    );
  }

  #byIndex(rows: SmiUsage[]): Map<number, SmiUsage> {
    const byUuid = new Map(rows.map((row) => [row.uuid, row]));
    const found = this.#gpus.map((gpu) => [gpu.index, byUuid.get(smiUuid(gpu))] as const);
    return new Map(found.filter((entry): entry is [number, SmiUsage] => entry[1] !== undefined));
  }

  async #ask(args: readonly string[]): Promise<{ stdout: string; problem: string }> {
    const result = await execa(this.#command, args, {
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' },
      extendEnv: false,
      reject: false,
      timeout: timeoutMs,
      forceKillAfterDelay: 1000,
      maxBuffer: 16 * 1024 ** 2,
      stdin: 'ignore',
      cwd: '/',
    });
    const said = `${result.stderr}\n${result.stdout}`
      .split('\n')
      .map((line) => line.trim())
      .find((line) => line !== '' && !line.startsWith('GPU-'));
    const problem = result.timedOut
      ? `nvidia-smi took longer than ${timeoutMs / 1000} s`
      : (said ?? (result.failed ? (result.shortMessage ?? 'nvidia-smi failed') : 'is not listed'));
    return { stdout: result.stdout, problem: problem.replace(/\p{C}/gu, '').slice(0, 200) };
  }
}
