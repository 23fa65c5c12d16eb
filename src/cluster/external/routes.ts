import { formatTimeLimit } from '../../config/time-limit.js';
import { AppError } from '../../errors.js';
import type { Api } from '../../http/api.js';
import { endpoint } from '../../http/endpoint.js';
import { json } from '../../http/reply.js';
import { gpuEndpoints } from '../gpus/routes.js';
import { asked } from '../slurm/asked.js';
import type { ExternalClient } from '../slurm/external/client.js';
import { readNodeGres, sumOf, usedShards } from './gres.js';
import type { ExternalInventory } from './inventory.js';
import { externalGpusReplySchema, externalPartitionsReplySchema } from './replies.js';

/** Mounts `/partitions` of an external cluster, with the limits of each for one job. */
export function externalPartitionRoutes(api: Api, inventory: ExternalInventory): void {
  const written = (time: number | 'UNLIMITED' | null) =>
    typeof time === 'number' ? formatTimeLimit(time) : time;
  endpoint(
    api,
    {
      method: 'get',
      path: '/partitions',
      role: 'reader',
      summary: 'List the partitions, with their limits for one job',
      reply: json(externalPartitionsReplySchema),
      errors: ['conflict', 'slurm_unavailable'],
    },
    async () => {
      await asked(() => inventory.refresh());
      const partitions = inventory.partitions().map((one) => ({
        name: one.name,
        default: one.isDefault,
        state: one.state,
        max_time: written(one.maxTime),
        default_time: written(one.defaultTime),
        max_cpus: one.maxCpus,
        max_memory_mb: one.maxMemoryMb,
        nodes: one.nodes.map((node) => node.name),
      }));
      return { partitions };
    },
  );
}

/**
 * Mounts `/gpus` of an external cluster: the GPUs of each node, and how many are in use. Only the
 * node knows which GPUs a job has.
 */
export function externalGpuRoutes(api: Api, slurm: Pick<ExternalClient, 'nodes'>): void {
  endpoint(
    api,
    {
      method: 'get',
      path: '/gpus',
      role: 'reader',
      summary: 'Show the GPUs of each node, and how many are in use',
      reply: json(externalGpusReplySchema),
      errors: ['conflict', 'slurm_unavailable'],
    },
    async () => {
      const rows = await asked(() => slurm.nodes());
      const names = [...new Set(rows.map((row) => row.name))];
      return { gpus: [], nodes: names.flatMap((name) => gpusOf(name, rows)) };
    },
  );

  const refuse = () => {
    throw new AppError(
      'not_supported',
      'the GPUs belong to the external cluster; they cannot be watched, paused or resumed here',
    );
  };
  const errors = ['not_supported'] as const;
  endpoint(api, { ...gpuEndpoints.history, errors }, refuse);
  endpoint(api, { ...gpuEndpoints.pause, errors }, refuse);
  endpoint(api, { ...gpuEndpoints.resume, errors }, refuse);
}

type NodeRow = Awaited<ReturnType<ExternalClient['nodes']>>[number];

/** @param all a row for each node and partition */
function gpusOf(name: string, all: readonly NodeRow[]) {
  const rows = all.filter((row) => row.name === name);
  const [node] = rows;
  const there = readNodeGres(node?.gres ?? null);
  if (node === undefined || sumOf(there.whole) === 0) return [];
  const used = readNodeGres(node.gresUsed);
  const shards = sumOf(there.shards);
  const types = [...there.whole].map(([type, count]) => ({
    type: type || null,
    count,
    used: used.whole.get(type) ?? 0,
  }));
  return [
    {
      node: name,
      state: node.state,
      partitions: rows.map((row) => row.partition.replace(/\*$/, '')),
      types,
      shards: shards === 0 ? null : { count: shards, used: usedShards(node.gresUsed) },
    },
  ];
}
