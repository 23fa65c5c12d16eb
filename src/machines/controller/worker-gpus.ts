import { sleep } from '../../every.js';
import type { Layout } from '../../config/layout.js';
import { WORKERS_PARTITION } from '../../cluster/slurm/partitions.js';
import { scontrol } from '../daemons/job-processes.js';

/** Each worker notices a restart of slurmctld within a second or two. */
const maxMs = 20_000;
const lookMs = 100;
const reason = 'silent since slurmctld was restarted';

/**
 * Opens the workers' partition after a start of slurmctld. Before that, the workers must report
 * their GPUs, and slurmctld must recount the running jobs' share of them. Otherwise 22.05 would
 * give the same GPU to the next job, too ("overallocated resources"). A silent worker is drained
 * until it reports.
 */
export class WorkerGpus {
  readonly #layout: Layout;
  readonly #say: (line: string) => void;

  /** Workers that did not report in time, all of them drained. */
  readonly #late = new Set<string>();

  constructor(layout: Layout, say: (line: string) => void) {
    this.#layout = layout;
    this.#say = say;
  }

  /** Must be called when slurmctld answers after its start. */
  async open(signal: AbortSignal): Promise<void> {
    for (const deadline = Date.now() + maxMs; Date.now() < deadline && !signal.aborted;) {
      if ((await this.#silent())?.length === 0) break;
      await sleep(lookMs, signal);
    }
    if (signal.aborted) return;
    for (const { name, line } of (await this.#silent()) ?? []) {
      this.#late.add(name);
      // Somebody has drained it before; it stays drained, and for that reason.
      if (/ State=\S*DRAIN/.test(line)) continue;
      await this.#update(`NodeName=${name}`, 'State=DRAIN', `Reason=${reason}`);
      this.#say(`${name} is drained: ${reason}`);
    }
    await this.#countAnew();
    await this.#update(`PartitionName=${WORKERS_PARTITION}`, 'State=UP');
  }

  /** Lets late workers take jobs again. Must be called repeatedly. */
  async look(): Promise<void> {
    if (this.#late.size === 0) return;
    const workers = await this.#workers();
    const back = workers?.filter((worker) => this.#late.has(worker.name) && worker.isHeard) ?? [];
    if (back.length === 0) return;
    await this.#countAnew();
    for (const { name, line } of back) {
      this.#late.delete(name);
      // Leave a worker alone when somebody else has drained it meanwhile.
      if (line.includes(reason)) await this.#update(`NodeName=${name}`, 'State=RESUME');
    }
  }

  /** Recounts the GPUs in use: a reconfiguration reads them from the running jobs themselves. */
  async #countAnew(): Promise<void> {
    await scontrol(this.#layout, 'reconfigure');
  }

  /**
   * Returns workers that slurmctld knows only from its saved state, where it may still start jobs.
   */
  async #silent() {
    const workers = await this.#workers();
    return workers?.filter((worker) => !worker.isHeard && !worker.isDown);
  }

  /** Returns the workers' nodes; undefined when slurmctld does not answer. */
  async #workers() {
    const nodes = await scontrol(this.#layout, 'show', 'node', '--oneliner');
    return nodes
      ?.split('\n')
      .filter((line) => line.includes(' AvailableFeatures=worker '))
      .map((line) => ({
        name: /^NodeName=(\S+)/.exec(line)?.[1] ?? '',
        isHeard: !line.includes(' SlurmdStartTime=None'),
        isDown: line.includes(' State=DOWN'),
        line,
      }));
  }

  async #update(...what: string[]): Promise<void> {
    await scontrol(this.#layout, 'update', ...what);
  }
}
