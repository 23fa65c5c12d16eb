import type { Response } from 'express';
import { z } from 'zod';
import { callerOf } from '../../auth/caller.js';
import { AppError, type ErrorCode } from '../../errors.js';
import type { Api } from '../../http/api.js';
import { endpoint } from '../../http/endpoint.js';
import { json } from '../../http/reply.js';
import { fields } from '../../http/request-body.js';
import { reasonSchema } from '../reason.js';
import { asked } from '../slurm/asked.js';
import type { OperatorClient, SlurmClient } from '../slurm/client.js';
import type { SlurmNode } from '../slurm/nodes.js';
import type { HostList } from '../ssh-hosts/host-list.js';
import type { NodeWatch } from '../ssh-hosts/node-watch.js';
import { nodeReplySchema, nodesReplySchema, partitionsReplySchema } from './replies.js';
import { viewNode } from './view.js';

const params = z.object({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'expected the name of a node'),
});

interface OwnNodes {
  slurm: Pick<OperatorClient, 'drainNode' | 'resumeNode'>;
  sshHosts: HostList;
  nodeWatch: Pick<NodeWatch, 'statusOf'>;
}

const drainBody = z.strictObject({ reason: reasonSchema.default('drained over the API') });
const changeErrors: ErrorCode[] = ['not_found', 'conflict', 'not_supported', 'slurm_unavailable'];

/**
 * Mounts `/nodes`, the machines that run jobs.
 * @param own drains nodes and knows the SSH hosts; undefined on an external cluster
 */
export function nodeRoutes(api: Api, slurm: SlurmClient, own?: OwnNodes): void {
  const isAdmin = (res: Response) => callerOf(res).role === 'admin';
  const viewFor = (res: Response) => (node: SlurmNode) =>
    viewNode(node, own?.sshHosts.all() ?? [], own?.nodeWatch.statusOf(node.name), isAdmin(res));

  endpoint(
    api,
    {
      method: 'get',
      path: '/nodes',
      role: 'reader',
      summary: 'List the nodes',
      reply: json(nodesReplySchema),
      errors: ['conflict', 'slurm_unavailable'],
    },
    async ({ res }) => {
      const nodes = await asked(() => slurm.nodes());
      const problem = isAdmin(res) ? (own?.sshHosts.problem() ?? null) : null;
      return { nodes: nodes.map(viewFor(res)), hosts_file_problem: problem };
    },
  );

  /** Changes a node's state in Slurm, and returns the node as it is then. */
  async function change(
    name: string,
    act: (operator: OwnNodes['slurm']) => Promise<void>,
  ): Promise<SlurmNode> {
    if (own === undefined)
      throw new AppError(
        'not_supported',
        'the nodes belong to the external cluster; its operators drain and resume them (scontrol update nodename=…)',
      );
    const known = (await asked(() => slurm.nodes())).map((node) => node.name);
    if (!known.includes(name))
      throw new AppError('not_found', `unknown node ${name}; available: ${known.join(', ')}`, {
        details: { fields: ['name'], nodes: known },
      });
    await asked(() => act(own.slurm));
    const node = (await asked(() => slurm.nodes())).find((one) => one.name === name);
    if (node === undefined) throw new AppError('not_found', `node ${name} is gone`);
    return node;
  }

  endpoint(
    api,
    {
      method: 'post',
      path: '/nodes/{name}/drain',
      role: 'admin',
      summary: 'Keep new jobs off a node; running jobs continue',
      params,
      body: fields(drainBody),
      reply: json(nodeReplySchema),
      errors: changeErrors,
    },
    async ({ params: { name }, body: { reason }, res }) =>
      viewFor(res)(await change(name, (operator) => operator.drainNode(name, reason))),
  );

  endpoint(
    api,
    {
      method: 'post',
      path: '/nodes/{name}/resume',
      role: 'admin',
      summary: 'Let jobs start on a node again',
      params,
      reply: json(nodeReplySchema),
      errors: changeErrors,
    },
    async ({ params: { name }, res }) =>
      viewFor(res)(await change(name, (operator) => operator.resumeNode(name))),
  );
}

/** Mounts `/partitions` of our own cluster. */
export function partitionRoutes(api: Api, slurm: Pick<SlurmClient, 'nodes'>): void {
  endpoint(
    api,
    {
      method: 'get',
      path: '/partitions',
      role: 'reader',
      summary: 'List the partitions and their nodes',
      reply: json(partitionsReplySchema),
      errors: ['conflict', 'slurm_unavailable'],
    },
    async () => {
      const nodes = await asked(() => slurm.nodes());
      const names = [...new Set(nodes.map((node) => node.partition.replace(/\*$/, '')))];
      const partitions = names.map((name) => ({
        name,
        nodes: nodes.filter((n) => n.partition.replace(/\*$/, '') === name).map((n) => n.name),
      }));
      return { partitions };
    },
  );
}
