import type { Logger } from 'pino';
import type { Database } from '../../db/database.js';
import type { NvidiaSmi } from './nvidia-smi.js';
import type { Gpu } from './gpu.js';
import type { SmiProcess, SmiUsage } from './nvidia-smi-output.js';
import * as store from './store.js';
import {
  isBusy,
  foreignProcessesOn,
  withOwner,
  type GpuProcess,
  type Thresholds,
} from './foreign-processes.js';

const dayMs = 24 * 60 * 60 * 1000;
/** So that what flickers around a threshold does not take a GPU away and give it back all the time. */
const looksInARow = 2;

/** Why the monitor holds a GPU back, and since when (milliseconds since 1970). */
export interface Closure {
  reason: string;
  since: number;
  processes: GpuProcess[];
}

interface Watched {
  seenAt: number | null;
  usage: SmiUsage | undefined;
  closure: Closure | undefined;
  /** Looks in a row that would change whether it is held. */
  against: number;
}

export interface MonitorParts {
  db: Database;
  gpus: readonly Gpu[];
  smi: NvidiaSmi;
  thresholds: Thresholds;
  /** GPUs that running jobs of ours have. */
  gpusWithJobs: () => ReadonlySet<number>;
  ownerOf: (pid: number) => string | undefined;
  now: () => number;
  log: Logger;
}

/** Looks at the GPUs with nvidia-smi: keeps what they do for a day, and tells which are to be held back. */
export class Monitor {
  readonly #watched = new Map<number, Watched>();
  #looked = false;

  constructor(private readonly parts: MonitorParts) {
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

  async look(): Promise<void> {
    const { db, gpus, smi, thresholds, gpusWithJobs, now } = this.parts;
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
      const on = (processes.get(index) ?? []).map((p) => withOwner(p, this.parts.ownerOf));
      const reason = this.#reasonToClose(seen, problem, on, withJobs.has(index));
      this.#judge(index, seen, at, reason === undefined ? undefined : { reason, processes: on });
    }
    this.#looked = true;
  }

  #reasonToClose(
    usage: SmiUsage | undefined,
    problem: string,
    processes: readonly GpuProcess[],
    hasJobs: boolean,
  ): string | undefined {
    if (usage === undefined) return `does not answer: ${problem}`;
    return foreignProcessesOn(usage, processes, hasJobs, this.parts.thresholds);
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
      // The reason may be another by now.
      if (closure && verdict) watched.closure = { ...verdict, since: closure.since };
      return;
    }
    watched.against += 1;
    // The first look has none before it, and a GPU that was held before a restart is not to be given away by it.
    if (this.#looked && watched.against < looksInARow) return;
    watched.against = 0;
    watched.closure = verdict && { ...verdict, since: at };
    if (verdict) this.parts.log.warn({ gpu: index, reason: verdict.reason }, 'a GPU is held back');
    else this.parts.log.info({ gpu: index }, 'a GPU is held back no more');
  }
}
