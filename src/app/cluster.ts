import type { WorkerList } from '../cluster/workers/worker-list.js';
import type { GpuFleet } from '../cluster/gpus/choose.js';
import type { GpuPauses } from '../cluster/gpus/pauses.js';
import type { GpuService } from '../cluster/gpus/service.js';
import type { JobUsers } from '../jobs/job-users.js';
import type { MeasureJobs } from '../jobs/disk-use/measure.js';
import type { NodeLimits } from '../jobs/placement/limits.js';
import type { Targets } from '../jobs/placement/target.js';
import type { HostList } from '../cluster/ssh-hosts/host-list.js';
import type { NodeWatch } from '../cluster/ssh-hosts/node-watch.js';
import type { ExternalInventory } from '../cluster/external/inventory.js';
import type { ExternalTargets } from '../jobs/placement/external.js';
import type { OperatorClient, SlurmClient } from '../cluster/slurm/client.js';
import type { ExternalClient } from '../cluster/slurm/external/client.js';
import type { JobSubmitter } from '../cluster/slurm/submit/job-submitter.js';

/** A Slurm and the targets of its jobs: either our own cluster, or an external one. */
export interface Cluster {
  slurm: SlurmClient;
  jobSubmitter: JobSubmitter;
  targets: Targets;
  /** Measures the bytes that jobs keep on the disk. */
  measureJobs: MeasureJobs;
  own: OwnCluster | undefined;
  external: ExternalCluster | undefined;
}

/** Parts of our own cluster, which the API can watch and change. */
export interface OwnCluster {
  slurm: OperatorClient;
  /** Unix users of the users' jobs. */
  jobUsers: JobUsers;
  /** Limits and GPUs of this machine. */
  here: { limits: NodeLimits; fleet: GpuFleet };
  /** Service of this machine's GPUs. */
  gpus: GpuService;
  /** Pauses of GPUs, of this machine and of workers. */
  gpuPauses: GpuPauses;
  sshHosts: HostList;
  nodeWatch: NodeWatch;
  /** Workers; undefined if no worker may join. */
  workers: WorkerList | undefined;
}

/** An external cluster and the known facts about it. */
export interface ExternalCluster {
  slurm: ExternalClient;
  inventory: ExternalInventory;
  targets: ExternalTargets;
  /** Whether the external cluster keeps a history of jobs. */
  hasAccounting: boolean;
  /** Whether jobs run as another user than the API. */
  sharesByGroup: boolean;
}

/** Returns the most GPUs that a job can have if it names no target. */
export function gpuCountOf({ own, external }: Cluster): number {
  return own ? own.here.fleet.gpus.length : (external?.targets.gpusByDefault() ?? 0);
}
