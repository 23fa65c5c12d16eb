import type { BoxList } from '../boxes/box-list.js';
import type { BoxPauses } from '../boxes/gpu-pauses.js';
import type { GpuFleet } from '../gpus/choose.js';
import type { JobUsers } from '../jobs/job-users.js';
import type { NodeLimits } from '../jobs/limits.js';
import type { JobPlaces } from '../jobs/place.js';
import type { HostList } from '../remote/host-list.js';
import type { NodeWatch } from '../remote/node-watch.js';
import type { SiteInventory } from '../site/inventory.js';
import type { SitePlaces } from '../site/places.js';
import type { OperatorClient, SlurmClient } from '../slurm/client.js';
import type { SiteClient } from '../slurm/site/client.js';

/** Slurm, and the places where jobs can run: either a cluster of our own, or a site's. */
export interface Cluster {
  slurm: SlurmClient;
  places: JobPlaces;
  own: OwnCluster | undefined;
  site: Site | undefined;
}

/** What can be changed and looked into where the cluster is ours. */
export interface OwnCluster {
  slurm: OperatorClient;
  /** Whose jobs run as which Unix user. */
  jobUsers: JobUsers;
  /** This machine. */
  here: { limits: NodeLimits; fleet: GpuFleet };
  sshHosts: HostList;
  nodeWatch: NodeWatch;
  /** Undefined where no worker box may join. */
  boxes: BoxList | undefined;
  boxPauses: BoxPauses | undefined;
}

/** A Slurm that the site runs, and what of it is known. */
export interface Site {
  slurm: SiteClient;
  inventory: SiteInventory;
  places: SitePlaces;
  /** Whether the site keeps a history of jobs. */
  hasAccounting: boolean;
  /** Whether jobs run as another user than the API. */
  sharesByGroup: boolean;
}

/** GPUs that a job can have at most, where it does not say where it runs. */
export function gpuCountOf({ own, site }: Cluster): number {
  return own ? own.here.fleet.gpus.length : (site?.places.gpusByDefault() ?? 0);
}
