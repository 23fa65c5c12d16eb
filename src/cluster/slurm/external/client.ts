import type { SlurmClient } from '../client.js';
import type { SlurmPartition } from './partitions.js';

/** A Slurm that others run, asked as one of its users. Every method throws SlurmError. */
export interface ExternalClient extends SlurmClient {
  partitions(): Promise<SlurmPartition[]>;
  /** Taken off a waiting job's priority; only an Operator may go below 0. */
  setNice(slurmJobId: number, nice: number): Promise<void>;
  /** Whether the external cluster keeps a history of jobs. */
  hasAccounting(): Promise<boolean>;
}
