import { Router, type Response } from 'express';
import { z } from 'zod';
import { adminsOnly, callerOf } from '../../auth/caller.js';
import { AppError } from '../../errors.js';
import { readParams } from '../../http/read-input.js';
import type { HostList } from '../ssh-hosts/host-list.js';
import type { NodeWatch } from '../ssh-hosts/node-watch.js';
import type { OperatorClient, SlurmClient } from '../slurm/client.js';
import { SlurmError } from '../slurm/command.js';
import type { SlurmNode } from '../slurm/nodes.js';
import { viewNode } from './view.js';

const nodeParams = z.object({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'expected the name of a node'),
});

/** `/nodes` and `/partitions`: where jobs run. */
export function nodeRoutes(
  slurm: SlurmClient,
  /** Where the cluster is ours: what drains its nodes, and its SSH hosts. */
  own?: {
    slurm: Pick<OperatorClient, 'drainNode' | 'resumeNode'>;
    sshHosts: HostList;
    nodeWatch: Pick<NodeWatch, 'statusOf'>;
  },
): Router {
  const router = Router();
  const isAdmin = (res: Response) => callerOf(res).role === 'admin';
  const viewFor = (res: Response) => (node: SlurmNode) =>
    viewNode(node, own?.sshHosts.all() ?? [], own?.nodeWatch.statusOf(node.name), isAdmin(res));

  router.get('/nodes', async (_req, res) => {
    const nodes = await asked(() => slurm.nodes());
    const problem = isAdmin(res) ? (own?.sshHosts.problem() ?? null) : null;
    res.json({ nodes: nodes.map(viewFor(res)), hosts_file_problem: problem });
  });

  router.get('/partitions', async (_req, res) => {
    const nodes = await asked(() => slurm.nodes());
    const names = [...new Set(nodes.map((node) => node.partition.replace(/\*$/, '')))];
    res.json({
      partitions: names.map((name) => ({
        name,
        nodes: nodes.filter((n) => n.partition.replace(/\*$/, '') === name).map((n) => n.name),
      })),
    });
  });

  router.post('/nodes/:name/:action', adminsOnly, async (req, res) => {
    const { name } = readParams(nodeParams, req);
    const { action } = req.params;
    if (action !== 'drain' && action !== 'resume')
      throw new AppError(
        'not_found',
        `a node can be drained or resumed, not ${JSON.stringify(action)}`,
      );
    if (own === undefined)
      throw new AppError(
        'not_supported',
        'the nodes are the external cluster’s: its operators drain and resume them (scontrol update nodename=…)',
      );
    const { slurm: operator } = own;
    const known = (await asked(() => slurm.nodes())).map((node) => node.name);
    if (!known.includes(name))
      throw new AppError('not_found', `there is no node ${name}; there are ${known.join(', ')}`);
    await asked(() =>
      action === 'drain'
        ? operator.drainNode(name, 'drained over the API')
        : operator.resumeNode(name),
    );
    const nodes = await asked(() => slurm.nodes());
    res.json(nodes.filter((node) => node.name === name).map(viewFor(res))[0]);
  });

  return router;
}

/** @throws AppError conflict with Slurm's words; slurm_unavailable */
export async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    if (!(cause instanceof SlurmError)) throw cause;
    if (cause.kind === 'refused')
      throw new AppError('conflict', `Slurm refused: ${cause.message}`, { cause });
    throw new AppError('slurm_unavailable', 'Slurm does not answer now: try again in a moment', {
      cause,
    });
  }
}
