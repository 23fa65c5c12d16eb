import type { HostStatus } from '../ssh-hosts/hosts-status.js';
import type { ResolvedHost } from '../ssh-hosts/resolved-hosts.js';
import type { SlurmNode } from '../slurm/nodes.js';
import { isoTime } from '../../iso-time.js';
import type { NodeView } from './replies.js';

/**
 * A node as the API shows it; for one that stands for an SSH host also how it was last found.
 * @param showLogin whether the caller may see where and as whom it is logged in to
 */
export function viewNode(
  node: SlurmNode,
  hosts: readonly ResolvedHost[],
  status: HostStatus | undefined,
  showLogin: boolean,
): NodeView {
  const host = hosts.find(({ name }) => name === node.name);
  if (host === undefined) return { ...node, ssh: null };
  const { gpus, labels, leaving } = host;
  return {
    ...node,
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
      /** Null until it was looked at. */
      reachable: status?.ok ?? null,
      // It may quote ssh, which names the machines on the way.
      problem: showLogin ? (status?.reason ?? null) : null,
      since: status ? isoTime(status.since) : null,
      checked_at: status ? isoTime(status.checked_at) : null,
      disk_free_bytes: status?.disk_free_bytes ?? null,
      clock_skew_seconds: status?.clock_skew_seconds ?? null,
    },
  };
}
