import type { HostStatus } from '../remote/hosts-status.js';
import type { ResolvedHost } from '../remote/resolved-hosts.js';
import type { SlurmNode } from '../slurm/nodes.js';

const iso = (ms: number) => new Date(ms).toISOString();

/** A node as the API shows it; for one that stands for an SSH host also what that is, and how it was last found. */
export function viewNode(
  node: SlurmNode,
  hosts: readonly ResolvedHost[],
  status: HostStatus | undefined,
) {
  const host = hosts.find(({ name }) => name === node.name);
  if (host === undefined) return { ...node, ssh: null };
  const { gpus, labels, leaving } = host;
  return {
    ...node,
    ssh: {
      host: host.host,
      port: host.port,
      user: host.user,
      proxy_jump: host.proxy_jump.map((jump) => `${jump.user}@${jump.host}:${jump.port}`),
      gpus,
      labels,
      leaving,
      /** Null until it was looked at. */
      reachable: status?.ok ?? null,
      problem: status?.reason ?? null,
      since: status ? iso(status.since) : null,
      checked_at: status ? iso(status.checked_at) : null,
      disk_free_bytes: status?.disk_free_bytes ?? null,
      clock_skew_seconds: status?.clock_skew_seconds ?? null,
    },
  };
}
