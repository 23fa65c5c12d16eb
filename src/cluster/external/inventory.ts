import type { Logger } from 'pino';
import { every } from '../../every.js';
import { SlurmError } from '../slurm/command.js';
import type { SlurmNode } from '../slurm/nodes.js';
import type { ExternalClient } from '../slurm/external/client.js';
import type { SlurmPartition } from '../slurm/external/partitions.js';

/** Clusters change their partitions a few times a year, and their nodes more often. */
const refreshMs = 60_000;

/** A partition with its nodes. */
export interface ExternalPartition extends SlurmPartition {
  nodes: SlurmNode[];
}

/** What the external cluster has, as it was last seen. */
export class ExternalInventory {
  #partitions: ExternalPartition[] = [];
  readonly #closing = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(
    private readonly slurm: Pick<ExternalClient, 'nodes' | 'partitions'>,
    private readonly log: Logger,
  ) {}

  /** Looks once, then again and again. @throws SlurmError when the external cluster does not answer the first time. */
  async start(): Promise<void> {
    await this.look();
    this.#loop = every(
      refreshMs,
      this.#closing.signal,
      () => this.look(),
      (error) => {
        // Until it answers again, the last inventory stays.
        if (error instanceof SlurmError)
          this.log.warn({ err: error }, 'the external cluster does not answer');
        else this.log.error({ err: error }, 'looking at the external cluster failed');
      },
    );
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  partitions(): readonly ExternalPartition[] {
    return this.#partitions;
  }

  /** @throws SlurmError */
  async look(): Promise<void> {
    const { slurm } = this;
    const [partitions, nodes] = await Promise.all([slurm.partitions(), slurm.nodes()]);
    this.#partitions = partitions.map((partition) => ({
      ...partition,
      nodes: nodes.filter((node) => nameOf(node) === partition.name),
    }));
  }
}

/** sinfo marks the default partition with an asterisk. */
function nameOf(node: SlurmNode): string {
  return node.partition.replace(/\*$/, '');
}
