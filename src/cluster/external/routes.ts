import { Router } from 'express';
import { adminsOnly } from '../../auth/caller.js';
import { AppError } from '../../errors.js';
import { asked } from '../nodes/routes.js';
import type { ExternalClient } from '../slurm/external/client.js';
import { formatTimeLimit } from '../../config/time-limit.js';
import { readNodeGres, sumOf, usedShards } from './gres.js';
import type { ExternalInventory } from './inventory.js';

/** `/partitions` of an external cluster, with what each allows one job. */
export function externalPartitionRoutes(inventory: ExternalInventory): Router {
  const router = Router();
  router.get('/partitions', async (_req, res) => {
    await asked(() => inventory.look());
    const written = (time: number | 'UNLIMITED' | null) =>
      typeof time === 'number' ? formatTimeLimit(time) : time;
    res.json({
      partitions: inventory.partitions().map((one) => ({
        name: one.name,
        default: one.isDefault,
        state: one.state,
        max_time: written(one.maxTime),
        default_time: written(one.defaultTime),
        max_cpus: one.maxCpus,
        max_memory_mb: one.maxMemoryMb,
        nodes: one.nodes.map((node) => node.name),
      })),
    });
  });
  return router;
}

/** `/gpus` of an external cluster: which nodes have which, and how many are in use. Which of them a job has is known on its node alone. */
export function externalGpuRoutes(slurm: Pick<ExternalClient, 'nodes'>): Router {
  const router = Router();
  router.get('/', async (_req, res) => {
    const nodes = await asked(() => slurm.nodes());
    const names = [...new Set(nodes.map((node) => node.name))];
    const views = names.flatMap((name) => {
      const rows = nodes.filter((node) => node.name === name);
      const [node] = rows;
      const there = readNodeGres(node?.gres ?? null);
      if (node === undefined || sumOf(there.whole) === 0) return [];
      const used = readNodeGres(node.gresUsed);
      const shards = sumOf(there.shards);
      return {
        node: name,
        state: node.state,
        partitions: rows.map((row) => row.partition.replace(/\*$/, '')),
        types: [...there.whole].map(([type, count]) => ({
          type: type || null,
          count,
          used: used.whole.get(type) ?? 0,
        })),
        shards: shards === 0 ? null : { count: shards, used: usedShards(node.gresUsed) },
      };
    });
    res.json({ gpus: [], nodes: views });
  });
  const refuse = () => {
    throw new AppError(
      'not_supported',
      'the GPUs are the external cluster’s: they are not watched here, and cannot be paused or resumed',
    );
  };
  router.get('/:index/history', refuse);
  router.post('/:index/:action', adminsOnly, refuse);
  return router;
}
