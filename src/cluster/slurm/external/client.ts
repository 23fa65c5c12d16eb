import type { SlurmClient } from '../client.js';
import type { SlurmPartition } from './partitions.js';

/** A client of an external cluster, as one of its users. Every method throws SlurmError. */
export interface ExternalClient extends SlurmClient {
  partitions(): Promise<SlurmPartition[]>;
  /** Lowers a waiting job's priority; only an Operator may set a negative value. */
  setNice(slurmJobId: number, nice: number): Promise<void>;
  /** Tells whether the external cluster keeps a history of jobs. */
  hasAccounting(): Promise<boolean>;
}
