import { sleep } from '../../every.js';
import type { Layout } from '../../config/layout.js';
import { WORKERS_PARTITION } from '../../cluster/slurm/partitions.js';
import { scontrol } from '../daemons/job-processes.js';

/** Each worker sees within a second or two that slurmctld was started again. */
const maxMs = 20_000;
const lookMs = 100;
const reason = 'not heard of since slurmctld was restarted';

/**
 * Opens the partition of the workers after a start of slurmctld, once the workers have told it of their GPUs and it has counted
 * anew what running jobs have of them: 22.05 would else give the same GPU to the next job, too ("overallocated resources"). A worker
 * that is not heard of is drained until it is.
 */
export class WorkerGpus {
  readonly #layout: Layout;
  readonly #say: (line: string) => void;

  /** Drained by us. */
  readonly #late = new Set<string>();

  constructor(layout: Layout, say: (line: string) => void) {
    this.#layout = layout;
    this.#say = say;
  }

  /** To be called when slurmctld answers after its start. */
  async open(signal: AbortSignal): Promise<void> {
    for (const deadline = Date.now() + maxMs; Date.now() < deadline && !signal.aborted;) {
      if ((await this.#silent())?.length === 0) break;
      await sleep(lookMs, signal);
    }
    if (signal.aborted) return;
    for (const name of (await this.#silent()) ?? []) {
      this.#late.add(name);
      await this.#update(`NodeName=${name}`, 'State=DRAIN', `Reason=${reason}`);
      this.#say(`${name} is drained: ${reason}`);
    }
    await this.#countAnew();
    await this.#update(`PartitionName=${WORKERS_PARTITION}`, 'State=UP');
  }

  /** Lets workers that were late take jobs again. To be called again and again. */
  async look(): Promise<void> {
    if (this.#late.size === 0) return;
    const workers = await this.#workers();
    const back = workers?.filter((worker) => this.#late.has(worker.name) && worker.isHeard) ?? [];
    if (back.length === 0) return;
    await this.#countAnew();
    for (const { name, line } of back) {
      this.#late.delete(name);
      // One that somebody else has drained meanwhile is left alone.
      if (line.includes(reason)) await this.#update(`NodeName=${name}`, 'State=RESUME');
    }
  }

  /** A reconfiguration takes what running jobs have of each GPU from the jobs themselves. */
  async #countAnew(): Promise<void> {
    await scontrol(this.#layout, 'reconfigure');
  }

  /** Those that slurmctld knows from its own notes only, and may start jobs on. */
  async #silent(): Promise<string[] | undefined> {
    const workers = await this.#workers();
    return workers
      ?.filter((worker) => !worker.isHeard && !worker.isDown)
      .map((worker) => worker.name);
  }

  /** Undefined when slurmctld does not say. */
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
