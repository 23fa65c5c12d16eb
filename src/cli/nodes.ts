import type { Api } from './api.js';
import { nodeSchema, nodesReply, type NodeReply } from './replies.js';
import { note, plain, say, table } from './terminal.js';

export async function listNodes(api: Api, { json }: { json?: boolean }): Promise<void> {
  const reply = await api.get('/nodes', nodesReply);
  if (json) {
    say(JSON.stringify(reply, null, 2));
    return;
  }
  const head = ['NODE', 'PARTITION', 'STATE', 'CPUS', 'MEMORY', 'GPUS', 'HOST', 'LABELS', 'WHY'];
  say(table([head, ...reply.nodes.map(row)]));
  if (reply.hosts_file_problem)
    note(`${plain(reply.hosts_file_problem)}; the hosts are those from before`);
}

export async function drainNode(api: Api, name: string): Promise<void> {
  const node = await api.post(`/nodes/${encodeURIComponent(name)}/drain`, {}, nodeSchema);
  say(`${plain(node.name)} is ${plain(node.state)}: what runs there goes on, nothing starts`);
}

export async function resumeNode(api: Api, name: string): Promise<void> {
  const node = await api.post(`/nodes/${encodeURIComponent(name)}/resume`, {}, nodeSchema);
  say(`${plain(node.name)} is ${plain(node.state)}`);
}

function row(node: NodeReply): string[] {
  const { ssh } = node;
  const labels = Object.entries(ssh?.labels ?? {}).map(([name, value]) => `${name}=${value}`);
  const gpus = ssh
    ? `${ssh.gpus?.count ?? 0}`
    : String((node.gres ?? '').split(',').filter((part) => part.startsWith('gpu:')).length);
  const gib = (mb: number | null) => `${((mb ?? 0) / 1024).toFixed(1)} GiB`;
  return [
    node.name,
    (node.partition ?? '').replace(/\*$/, ''),
    ssh?.leaving ? `${node.state} (leaving)` : node.state,
    `${node.cpusAllocated ?? 0}/${node.cpus ?? 0}`,
    gib(node.memoryMb),
    gpus,
    ssh ? `${ssh.user ?? '?'}@${ssh.host ?? '?'}` : '-',
    labels.join(' ') || '-',
    node.reason ?? ssh?.problem ?? '',
  ];
}
