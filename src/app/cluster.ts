import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { BoxList } from '../boxes/box-list.js';
import { ConfigError } from '../config/config-error.js';
import type { GpuFleet } from '../gpus/choose.js';
import { gpuSchema } from '../gpus/gpu.js';
import type { NodeLimits } from '../jobs/limits.js';
import { Places } from '../jobs/places.js';
import { HostList } from '../remote/host-list.js';
import { NodeWatch } from '../remote/node-watch.js';
import { commandSlurmClient, type SlurmClient } from '../slurm/client.js';
import { holdReserve } from '../slurm/hold.js';
import type { Base } from './base.js';

export interface Cluster {
  slurm: SlurmClient;
  /** This machine. */
  here: { limits: NodeLimits; fleet: GpuFleet };
  sshHosts: HostList;
  nodeWatch: NodeWatch;
  /** Undefined where no worker box may join. */
  boxes: BoxList | undefined;
  places: Places;
}

/** Slurm, and the places where jobs can run. @throws ConfigError */
export function openCluster({ config, layout, log, onClose }: Base): Cluster {
  const { cpus, memoryMb, maxTime, gpuType } = config.node;
  if (cpus === undefined || memoryMb === undefined)
    throw new ConfigError('JR_NUM_CPUS and JR_REAL_MEM_MB: must be set for "serve" alone');
  const gpus = z.array(gpuSchema).parse(JSON.parse(readFileSync(layout.gpuMap, 'utf8')));
  const fleet = { gpus, shardsPerGpu: config.gpus.shardsPerGpu, gpuType };
  const here = { limits: { cpus, memoryMb, maxTime }, fleet };
  const slurm = commandSlurmClient(layout.slurmConf, holdReserve(cpus, gpus.length));
  const sshHosts = new HostList(layout.remoteHosts);
  const boxes = config.join && new BoxList(layout.boxesRecord);
  const nodeWatch = new NodeWatch({ slurm, hosts: sshHosts, path: layout.remoteStatus, log });
  onClose(() => nodeWatch.close());
  nodeWatch.start();
  return { slurm, here, sshHosts, nodeWatch, boxes, places: new Places(here, sshHosts, boxes) };
}
