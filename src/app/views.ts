import { nodeGpuRoutes } from '../cluster/workers/gpu-routes.js';
import { viewWorkerGpus } from '../cluster/workers/view.js';
import { gpuRoutes } from '../cluster/gpus/routes.js';
import type { GpuService } from '../cluster/gpus/service.js';
import type { HealthParts } from './health/health.js';
import { NODE_NAME } from '../config/layout.js';
import { isMoreThanHere } from '../config/many-cpus.js';
import { slurmdRuns } from '../cluster/nodes/slurmd-runs.js';
import { nodeRoutes, partitionRoutes } from '../cluster/nodes/routes.js';
import type { Api } from '../http/api.js';
import { OwnQueueTargets, type QueueTargets } from '../queue-api/targets.js';
import { ExternalQueueTargets } from '../queue-api/external-targets.js';
import { externalGpuRoutes, externalPartitionRoutes } from '../cluster/external/routes.js';
import type { SlurmNode } from '../cluster/slurm/nodes.js';
import type { Base } from './base.js';
import type { Cluster } from './cluster.js';

/** Parts that show the cluster, ours or an external one. */
export interface Views {
  queueTargets: QueueTargets;
  health: Pick<
    HealthParts,
    | 'nodeState'
    | 'silentNodes'
    | 'hasOwnNodes'
    | 'hasAccounting'
    | 'isOvercommitted'
    | 'rememberedMs'
  >;
}

/**
 * Mounts the routes that show the cluster.
 * @param gpus undefined on an external cluster
 */
export function openViews(
  api: Api,
  { config, layout, liveJobs }: Base,
  { slurm, own, external }: Cluster,
  gpus: GpuService | undefined,
): Views {
  const rememberedMs = config.pollSeconds * 1000;
  if (external) {
    const { inventory, targets, hasAccounting } = external;
    externalGpuRoutes(api, slurm);
    externalPartitionRoutes(api, inventory);
    nodeRoutes(api, slurm);
    return {
      queueTargets: new ExternalQueueTargets(targets, inventory),
      health: {
        nodeState: bestState,
        silentNodes: () => [],
        hasOwnNodes: false,
        hasAccounting,
        isOvercommitted: false,
        rememberedMs,
      },
    };
  }
  if (own === undefined || gpus === undefined)
    throw new Error('neither our own cluster nor an external one is open');
  const { workers, gpuPauses: pauses, here, sshHosts } = own;
  const { shardsPerGpu } = here.fleet;
  const viewWorkers =
    workers &&
    ((scope?: string) =>
      viewWorkerGpus(workers.open(), liveJobs.all(), shardsPerGpu, pauses.all(), scope));
  const silentNodes: HealthParts['silentNodes'] = (nodes) => {
    const local = [NODE_NAME, ...sshHosts.open().map(({ name }) => name)];
    // Slurm itself notices a silent slurmd, which it marks with an asterisk, only at its next ping.
    const silent = nodes.filter(({ state }) => state.endsWith('*')).map(({ name }) => name);
    return local.filter((name) => silent.includes(name) || !slurmdRuns(layout, name));
  };
  gpuRoutes(api, gpus, pauses, viewWorkers);
  nodeGpuRoutes(api, { gpus, pauses, viewWorkers });
  nodeRoutes(api, slurm, own);
  partitionRoutes(api, slurm);
  return {
    queueTargets: new OwnQueueTargets(here, sshHosts),
    health: {
      nodeState: ownState,
      silentNodes,
      hasOwnNodes: true,
      hasAccounting: true,
      isOvercommitted: isMoreThanHere(here.limits.cpus),
      rememberedMs,
    },
  };
}

const ownState: HealthParts['nodeState'] = (nodes) =>
  nodes.find(({ name }) => name === NODE_NAME)?.state;

/** Returns the state of an external node that can run jobs; if there is none, of any node. */
function bestState(nodes: readonly SlurmNode[]): string | undefined {
  const running = nodes.find(({ state }) => /^(idle|mixed|allocated|completing)$/.test(state));
  return (running ?? nodes[0])?.state;
}
