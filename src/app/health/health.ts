import { statfs } from 'node:fs/promises';
import type { Database } from '../../db/database.js';
import type { Health } from '../../cluster/health-reply.js';
import type { SlurmClient } from '../../cluster/slurm/client.js';
import { countLive } from '../../jobs/store.js';
import type { SlurmNode } from '../../cluster/slurm/nodes.js';

/** Free bytes below which a job's output or an upload would soon fail. */
const minimumFreeBytes = 512 * 1024 ** 2;

export interface HealthParts {
  db: Database;
  slurm: SlurmClient;
  /** Returns one word for all nodes; undefined if the decisive node is missing. */
  nodeState: (nodes: readonly SlurmNode[]) => string | undefined;
  /** Lists the nodes whose slurmd does not answer, of those that run on this machine. */
  silentNodes: (nodes: readonly SlurmNode[]) => string[];
  /** Whether the nodes are ours to drain and resume. */
  hasOwnNodes: boolean;
  hasAccounting: boolean;
  /** Whether jobs are given more CPUs than this machine has. */
  isOvercommitted: boolean;
  version: string;
  /** Interval between two requests to Slurm, since anybody may ask for the health. */
  rememberedMs: number;
  root: string;
  now: () => number;
}

/** Slurm's own part of the health. */
interface SlurmHealth {
  node: string;
  notAnswering: string[];
  drained: string[];
  slurmdbd: Health['slurmdbd'];
}

/** Tells whether jobs can run, one word for each part. */
export class HealthCheck {
  readonly #parts: HealthParts;

  #last: { at: number; slurm: Promise<SlurmHealth> } | undefined;

  constructor(parts: HealthParts) {
    this.#parts = parts;
  }

  /**
   * Checks all parts; never throws: a part that does not answer is `down`. Slurm's state may be a
   * second old.
   */
  async check(): Promise<Health> {
    const [{ node, notAnswering, drained, slurmdbd }, disk, database] = await Promise.all([
      this.#rememberedSlurm(),
      answer(() => this.#disk(), 'unknown'),
      answer(() => Promise.resolve(this.#database()), 'failed'),
    ]);
    const slurmctld = node === 'unknown' ? 'down' : 'up';
    const runs = slurmctld === 'up' && !/down|unk|fail|error/.test(node) && database === 'ok';
    const isWhole = slurmdbd !== 'down' && notAnswering.length === 0 && !node.startsWith('drain');
    const status = !runs || disk !== 'ok' ? 'down' : isWhole ? 'ok' : 'degraded';
    const { version, isOvercommitted } = this.#parts;
    const cpus = isOvercommitted ? 'overcommitted' : 'ok';
    return {
      status,
      version,
      slurmctld,
      slurmdbd,
      node,
      not_answering: notAnswering,
      cpus,
      drained_nodes: drained,
      disk,
      database,
    };
  }

  #rememberedSlurm(): Promise<SlurmHealth> {
    const now = this.#parts.now();
    if (this.#last === undefined || now - this.#last.at > this.#parts.rememberedMs)
      this.#last = { at: now, slurm: this.#slurm() };
    return this.#last.slurm;
  }

  async #slurm(): Promise<SlurmHealth> {
    const { slurm, nodeState, silentNodes, hasOwnNodes, hasAccounting } = this.#parts;
    const [nodes, slurmdbd] = await Promise.all([
      answer(() => slurm.nodes(), []),
      hasAccounting
        ? answer(async () => (await slurm.pingAccounting(), 'up' as const), 'down')
        : ('none' as const),
    ]);
    const notAnswering = await answer(() => Promise.resolve(silentNodes(nodes)), []);
    const isDrained = ({ state }: SlurmNode) => hasOwnNodes && state.startsWith('drain');
    const drained = new Set(nodes.filter(isDrained).map(({ name }) => name));
    return { node: nodeState(nodes) ?? 'unknown', notAnswering, drained: [...drained], slurmdbd };
  }

  async #disk(): Promise<'ok' | 'full'> {
    const { bavail, bsize } = await statfs(this.#parts.root);
    return bavail * bsize < minimumFreeBytes ? 'full' : 'ok';
  }

  #database(): 'ok' {
    countLive(this.#parts.db);
    return 'ok';
  }
}

/** Returns the answer, or `otherwise` if the part fails: the health itself reports the failure. */
async function answer<T>(ask: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await ask();
  } catch {
    return otherwise;
  }
}
