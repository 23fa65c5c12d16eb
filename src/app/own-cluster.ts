import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { WorkerList } from '../cluster/workers/worker-list.js';
import { ConfigError } from '../config/config-error.js';
import { gpuSchema } from '../cluster/gpus/gpu.js';
import { measureAsRoot, measureAsSelf } from '../jobs/disk-use/measure.js';
import type { JobUsers } from '../jobs/job-users.js';
import { OwnTargets } from '../jobs/placement/own-cluster.js';
import { HostList } from '../cluster/ssh-hosts/host-list.js';
import { NodeWatch } from '../cluster/ssh-hosts/node-watch.js';
import { commandSlurmClient, type OperatorClient } from '../cluster/slurm/client.js';
import { placeholderReserve } from '../cluster/slurm/placeholder-jobs.js';
import { asUserSubmitter } from '../cluster/slurm/submit/as-user.js';
import type { JobSubmitter } from '../cluster/slurm/submit/job-submitter.js';
import type { Base } from './base.js';
import type { Cluster } from './cluster.js';
import { openOwnGpus } from './own-gpus.js';

/** A stand-in for our own Slurm, in tests. */
export type GivenSlurm = OperatorClient & JobSubmitter;

/**
 * Opens our own cluster.
 * @param given stands in for Slurm's own commands
 * @throws ConfigError
 */
export function openOwnCluster(base: Base, jobUsers: JobUsers, given?: GivenSlurm): Cluster {
  const { config, layout, log, onClose } = base;
  const { cpus, memoryMb, maxTime, gpuType } = config.node;
  if (cpus === undefined || memoryMb === undefined)
    throw new ConfigError('JR_NUM_CPUS and JR_REAL_MEM_MB: must be set for "serve" alone');
  const gpus = z.array(gpuSchema).parse(JSON.parse(readFileSync(layout.gpuMap, 'utf8')));
  const fleet = { gpus, shardsPerGpu: config.gpus.shardsPerGpu, gpuType };
  const here = { limits: { cpus, memoryMb, maxTime }, fleet };
  const slurm =
    given ?? commandSlurmClient(layout.slurmConf, placeholderReserve(cpus, gpus.length));
  const sshHosts = new HostList(layout.sshHosts);
  const workers = config.join && new WorkerList(layout.workersRecord);
  const nodeWatch = new NodeWatch({ slurm, hosts: sshHosts, path: layout.sshStatus, log });
  onClose(() => nodeWatch.close());
  nodeWatch.start();
  const ownGpus = openOwnGpus(base, slurm, fleet, workers);
  const { isClosed } = ownGpus.gpus;
  const targets = new OwnTargets({ ...here, isClosed }, sshHosts, workers);
  const own = { slurm, jobUsers, here, ...ownGpus, sshHosts, nodeWatch, workers };
  const jobSubmitter = given ?? asUserSubmitter(layout.slurmConf);
  const measureJobs = given ? measureAsSelf(layout.root) : measureAsRoot(layout.slurmConf);
  return { slurm, jobSubmitter, targets, measureJobs, own, external: undefined };
}
