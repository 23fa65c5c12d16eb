import type { SlurmClient } from '../client.js';
import type { SlurmPartition } from './partitions.js';

/** What JobRunner asks of a Slurm that others run, as one of its users. Every method throws SlurmError. */
export interface ExternalClient extends SlurmClient {
  partitions(): Promise<SlurmPartition[]>;
  /** Taken off a waiting job's priority; only an Operator may go below 0. */
  setNice(slurmJobId: number, nice: number): Promise<void>;
  /** Whether the external cluster keeps a history of jobs. */
  hasAccounting(): Promise<boolean>;
}

/** What all jobs on the external cluster are submitted with. */
export interface SubmitDefaults {
  account: string | undefined;
  qos: string | undefined;
}
