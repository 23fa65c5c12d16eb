import type { HostStatus } from '../ssh-hosts/hosts-status.js';
import type { ResolvedHost } from '../ssh-hosts/resolved-hosts.js';
import type { SlurmNode } from '../slurm/nodes.js';
import { isoTime } from '../../iso-time.js';
import type { NodeView } from './replies.js';

/**
 * Shows a node as the API does; for an SSH host, also its last status.
 * @param showLogin whether the caller may see the host's address and user
 */
export function viewNode(
  node: SlurmNode,
  hosts: readonly ResolvedHost[],
  status: HostStatus | undefined,
  showLogin: boolean,
): NodeView {
  const view = {
    name: node.name,
    state: node.state,
    partition: node.partition,
    cpus: node.cpus,
    cpus_allocated: node.cpusAllocated,
    memory_mb: node.memoryMb,
    memory_allocated_mb: node.memoryAllocatedMb,
    gres: node.gres,
    gres_used: node.gresUsed,
    reason: node.reason,
  };
  const host = hosts.find(({ name }) => name === node.name);
  if (host === undefined) return { ...view, ssh: null };
  const { gpus, labels, leaving } = host;
  return {
    ...view,
    ssh: {
      ...(showLogin && {
        host: host.host,
        port: host.port,
        user: host.user,
        proxy_jump: host.proxy_jump.map((jump) => `${jump.user}@${jump.host}:${jump.port}`),
      }),
      gpus,
      labels,
      leaving,
      /** Null until the first check. */
      reachable: status?.ok ?? null,
      // The problem may quote ssh, which names the jump hosts.
      problem: showLogin ? (status?.reason ?? null) : null,
      since: status ? isoTime(status.since) : null,
      checked_at: status ? isoTime(status.checked_at) : null,
      disk_free_bytes: status?.disk_free_bytes ?? null,
      clock_skew_seconds: status?.clock_skew_seconds ?? null,
    },
  };
}
