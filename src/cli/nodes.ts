import { nodeReplySchema, nodesReplySchema, type NodeView } from '../cluster/nodes/replies.js';
import type { Api } from './api.js';
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

export async function drainNode(api: Api, name: string): Promise<void> {
  const node = await api.post(`/nodes/${encodeURIComponent(name)}/drain`, {}, nodeReplySchema);
  say(`${plain(node.name)} is ${plain(node.state)}: running jobs continue, and no more start`);
}

export async function resumeNode(api: Api, name: string): Promise<void> {
  const node = await api.post(`/nodes/${encodeURIComponent(name)}/resume`, {}, nodeReplySchema);
  say(`${plain(node.name)} is ${plain(node.state)}`);
}

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
    `${node.cpusAllocated}/${node.cpus}`,
    gib(node.memoryMb),
    gpus,
    ssh ? `${ssh.user ?? '?'}@${ssh.host ?? '?'}` : '-',
    labels.join(' ') || '-',
    node.reason ?? ssh?.problem ?? '',
  ];
}
