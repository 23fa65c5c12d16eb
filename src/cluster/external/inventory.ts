import type { Logger } from 'pino';
import { Loops } from '../../every.js';
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

/** The external cluster's partitions and nodes, as last seen. */
export class ExternalInventory {
  readonly #slurm: Pick<ExternalClient, 'nodes' | 'partitions'>;
  readonly #log: Logger;

  #partitions: ExternalPartition[] = [];
  readonly #loops = new Loops();

  constructor(slurm: Pick<ExternalClient, 'nodes' | 'partitions'>, log: Logger) {
    this.#slurm = slurm;
    this.#log = log;
  }

  /**
   * Refreshes once, then periodically.
   * @throws SlurmError if the external cluster does not answer the first time
   */
  async start(): Promise<void> {
    await this.refresh();
    this.#loops.start(
      refreshMs,
      () => this.refresh(),
      (error) => {
        // The last inventory stays in use until the cluster answers again.
        if (error instanceof SlurmError)
          this.#log.warn({ err: error }, 'the external cluster does not answer');
        else this.#log.error({ err: error }, 'could not read the external cluster');
      },
    );
  }

  close(): Promise<void> {
    return this.#loops.close();
  }

  partitions(): readonly ExternalPartition[] {
    return this.#partitions;
  }

  /** @throws SlurmError */
  async refresh(): Promise<void> {
    const slurm = this.#slurm;
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
