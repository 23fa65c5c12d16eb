import type { Logger } from 'pino';
import type { Database } from '../../db/database.js';
import type { NvidiaSmi } from './nvidia-smi.js';
import type { Gpu } from './gpu.js';
import type { SmiProcess, SmiUsage } from './nvidia-smi-output.js';
import * as store from './usage-store.js';
import {
  isBusy,
  foreignProcessesOn,
  withOwner,
  type GpuProcess,
  type Thresholds,
} from './foreign-processes.js';

const dayMs = 24 * 60 * 60 * 1000;
/**
 * Polls in a row that must agree, so that a GPU near a threshold is not closed and opened all the
 * time.
 */
const agreeingPolls = 2;

/** Reason why the monitor closes a GPU, and since when (milliseconds since 1970). */
export interface Closure {
  reason: string;
  since: number;
  processes: GpuProcess[];
}

interface Watched {
  seenAt: number | null;
  usage: SmiUsage | undefined;
  closure: Closure | undefined;
  /** Polls in a row that contradict the present verdict. */
  against: number;
}

export interface MonitorParts {
  db: Database;
  gpus: readonly Gpu[];
  smi: NvidiaSmi;
  thresholds: Thresholds;
  /** GPUs of our running jobs. */
  gpusWithJobs: () => ReadonlySet<number>;
  ownerOf: (pid: number) => string | undefined;
  now: () => number;
  log: Logger;
}

/**
 * Polls the GPUs with nvidia-smi, keeps their figures for a day, and decides which GPUs to close.
 */
export class Monitor {
  readonly #parts: MonitorParts;

  readonly #watched = new Map<number, Watched>();
  #hasPolled = false;

  constructor(parts: MonitorParts) {
    this.#parts = parts;

    for (const { index } of parts.gpus)
      this.#watched.set(index, { seenAt: null, usage: undefined, closure: undefined, against: 0 });
  }

  usage(index: number): { usage: SmiUsage; seenAt: number } | undefined {
    const { usage, seenAt } = this.#watched.get(index) ?? {};
    return usage && seenAt ? { usage, seenAt } : undefined;
  }

  closure(index: number): Closure | undefined {
    return this.#watched.get(index)?.closure;
  }

  async poll(): Promise<void> {
    const { db, gpus, smi, thresholds, gpusWithJobs, now } = this.#parts;
    const { usage, problem } = await smi.usage();
    const busy = [...usage.values()].some((one) => isBusy(one, thresholds));
    const processes = busy ? await smi.processes() : new Map<number, SmiProcess[]>();
    const withJobs = gpusWithJobs();
    const at = now();
    db.transaction(() => {
      for (const { index } of gpus) {
        const {
          memoryUsedMb: memory_mb = null,
          load = null,
          temperature = null,
        } = usage.get(index) ?? {};
        if (memory_mb !== null) store.insertUsage(db, index, { at, memory_mb, load, temperature });
      }
      store.deleteUsageBefore(db, at - dayMs);
    })();
    for (const { index } of gpus) {
      const seen = usage.get(index);
      const on = (processes.get(index) ?? []).map((p) => withOwner(p, this.#parts.ownerOf));
      const reason = this.#reasonToClose(seen, problem, on, withJobs.has(index));
      this.#judge(index, seen, at, reason === undefined ? undefined : { reason, processes: on });
    }
    this.#hasPolled = true;
  }

  #reasonToClose(
    usage: SmiUsage | undefined,
    problem: string,
    processes: readonly GpuProcess[],
    hasJobs: boolean,
  ): string | undefined {
    if (usage === undefined) return `does not answer: ${problem}`;
    return foreignProcessesOn(usage, processes, hasJobs, this.#parts.thresholds);
  }

  #judge(
    index: number,
    usage: SmiUsage | undefined,
    at: number,
    verdict: Omit<Closure, 'since'> | undefined,
  ): void {
    const watched = this.#watched.get(index);
    if (watched === undefined) return;
    watched.usage = usage;
    if (usage !== undefined) watched.seenAt = at;
    const { closure } = watched;
    if ((closure === undefined) === (verdict === undefined)) {
      watched.against = 0;
      // The reason may have changed.
      if (closure && verdict) watched.closure = { ...verdict, since: closure.since };
      return;
    }
    watched.against += 1;
    // The first poll decides alone: a restart must not open a GPU that was closed before it.
    if (this.#hasPolled && watched.against < agreeingPolls) return;
    watched.against = 0;
    watched.closure = verdict && { ...verdict, since: at };
    if (verdict)
      this.#parts.log.warn({ gpu: index, reason: verdict.reason }, 'closed a GPU to jobs');
    else this.#parts.log.info({ gpu: index }, 'opened a GPU to jobs again');
  }
}
