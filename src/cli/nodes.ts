import { nodeReplySchema, nodesReplySchema, type NodeView } from '../cluster/nodes/replies.js';
import type { Api } from './api.js';
import { CliError } from './cli-error.js';
import { note, plain, say, table } from './terminal.js';

export async function listNodes(api: Api, { json }: { json?: boolean }): Promise<void> {
  const reply = await api.get('/nodes', nodesReplySchema);
  if (json) {
    say(JSON.stringify(reply, null, 2));
    return;
  }
  const head = ['NODE', 'PARTITION', 'STATE', 'CPUS', 'MEMORY', 'GPUS', 'HOST', 'LABELS', 'WHY'];
  say(table([head, ...reply.nodes.map(row)]));
  if (reply.hosts_file_problem)
    note(`${plain(reply.hosts_file_problem)}; the previous hosts stay in use`);
}

/** The nodes that a command names. */
export interface WhichNodes {
  names: readonly string[];
  all?: boolean | undefined;
}

/** Keeps jobs off nodes. Of all nodes, it leaves those alone that are drained already. */
export async function drainNodes(
  api: Api,
  which: WhichNodes,
  reason: string | undefined,
): Promise<void> {
  await drainEach(api, await namesOf(api, which, (node) => !isDrained(node)), reason);
}

async function drainEach(
  api: Api,
  names: readonly string[],
  reason: string | undefined,
): Promise<void> {
  if (names.length === 0) say('all nodes are drained already');
  const body = reason === undefined ? {} : { reason };
  for (const name of names) {
    const node = await api.post(`${pathOf(name)}/drain`, body, nodeReplySchema);
    say(`${plain(node.name)} is ${plain(node.state)}: running jobs continue, and no more start`);
  }
}

/** Lets jobs start on nodes again. */
export async function resumeNodes(api: Api, which: WhichNodes): Promise<void> {
  const names = await namesOf(api, which, isDrained);
  if (names.length === 0) say('no node is drained');
  await resumeEach(api, names);
}

/** Marks the nodes that maintenance has drained, and only those, in their reasons. */
const maintenance = 'maintenance';

/** Reasons of the drains that JobRunner itself ends, once a disk has room or a host answers. */
const passing = /^(disk|ssh): /;

/**
 * Keeps jobs off all nodes, until {@link endMaintenance}. It takes over JobRunner's own drains,
 * which would otherwise end during the maintenance; afterwards the watches set them anew.
 */
export async function startMaintenance(api: Api, reason: string | undefined): Promise<void> {
  const why = reason === undefined ? maintenance : `${maintenance}: ${reason}`;
  const names = await namesOf(
    api,
    { names: [], all: true },
    (node) => !isDrained(node) || passing.test(node.reason ?? ''),
  );
  await drainEach(api, names, why);
}

/** Resumes the nodes that maintenance has drained; those drained before it stay so. */
export async function endMaintenance(api: Api): Promise<void> {
  const isOurs = ({ reason }: NodeView) => new RegExp(`^${maintenance}(: |$)`).test(reason ?? '');
  const names = await namesOf(
    api,
    { names: [], all: true },
    (node) => isDrained(node) && isOurs(node),
  );
  if (names.length === 0) say('no node is drained for maintenance');
  await resumeEach(api, names);
}

async function resumeEach(api: Api, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const node = await api.post(`${pathOf(name)}/resume`, {}, nodeReplySchema);
    say(`${plain(node.name)} is ${plain(node.state)}`);
  }
}

/** Returns the named nodes, or all that fit. @throws CliError unless one of the two is given */
async function namesOf(
  api: Api,
  { names, all }: WhichNodes,
  fits: (node: NodeView) => boolean,
): Promise<readonly string[]> {
  if (names.length > 0 === (all ?? false)) throw new CliError('name nodes, or give --all');
  if (names.length > 0) return names;
  const { nodes } = await api.get('/nodes', nodesReplySchema);
  return [...new Set(nodes.filter(fits).map(({ name }) => name))];
}

const isDrained = ({ state }: NodeView) => state.startsWith('drain');

const pathOf = (name: string) => `/nodes/${encodeURIComponent(name)}`;

function row(node: NodeView): string[] {
  const { ssh } = node;
  const labels = Object.entries(ssh?.labels ?? {}).map(([name, value]) => `${name}=${value}`);
  const gpus = ssh
    ? String(ssh.gpus.count)
    : String((node.gres ?? '').split(',').filter((part) => part.startsWith('gpu:')).length);
  const gib = (mb: number) => `${(mb / 1024).toFixed(1)} GiB`;
  return [
    node.name,
    node.partition.replace(/\*$/, ''),
    ssh?.leaving ? `${node.state} (leaving)` : node.state,
    `${node.cpus_allocated}/${node.cpus}`,
    gib(node.memory_mb),
    gpus,
    ssh ? `${ssh.user ?? '?'}@${ssh.host ?? '?'}` : '-',
    labels.join(' ') || '-',
    node.reason ?? ssh?.problem ?? '',
  ];
}
