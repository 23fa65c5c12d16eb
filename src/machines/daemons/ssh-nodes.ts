import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { ConfigError } from '../../config/config-error.js';
import type { Config } from '../../config/config.js';
import { errnoOf } from '../../errors.js';
import type { Layout } from '../../config/layout.js';
import { gpuMemoryFeature, memoryMbOf } from '../../cluster/ssh-hosts/capacity.js';
import type { ResolvedHost } from '../../cluster/ssh-hosts/resolved-hosts.js';
import { SSH_PARTITION } from '../../cluster/slurm/partitions.js';
import { makeDevice } from './detect.js';

/** Number of ports to try, from the first one on. */
const portsTried = 2000;

/** An SSH host as Slurm has it: a node whose slurmd runs here. */
export interface SshNode {
  host: ResolvedHost;
  /** The loopback port of its slurmd. */
  port: number;
}

interface GresNames {
  gpuType: string;
  shardsPerGpu: number;
}

interface NodeNames extends GresNames {
  /** Where their slurmds listen. */
  address: string;
}

export const slurmdProgram = (name: string) => `slurmd-${name}`;

/** Returns the device that stands for a host's GPU here. */
const deviceOf = (layout: Pick<Layout, 'sshGpus'>, name: string, index: number) =>
  join(layout.sshGpus, name, `gpu${index}`);

/**
 * Returns the lines of slurm.conf for the nodes and their partition, which prefers the host with
 * the most idle CPUs (slurm.conf(5), LLN).
 * @param hasPartition true when the partition exists even without hosts, so that waiting jobs are
 *   kept
 */
export function sshNodeLines(
  nodes: readonly SshNode[],
  names: NodeNames,
  maxTime: string,
  state: 'UP' | 'DOWN',
  hasPartition: boolean,
): string[] {
  const lines = nodes.map(({ host, port }) => {
    const gres = indicesOf(host)
      .flatMap((i) => [
        `gpu:${names.gpuType}${i}:1`,
        `shard:${names.gpuType}${i}:${names.shardsPerGpu}`,
      ])
      .join(',');
    const features = ['ssh', ...(host.gpus.count > 0 ? [gpuMemoryFeature(host)] : [])];
    return (
      `NodeName=${host.name} NodeHostname=localhost NodeAddr=${names.address} Port=${port} CPUs=${host.cpus} ` +
      `RealMemory=${memoryMbOf(host)}${gres === '' ? '' : ` Gres=${gres}`} Feature=${features.join(',')} State=UNKNOWN`
    );
  });
  if (nodes.length === 0 && !hasPartition) return lines;
  const members =
    nodes.length === 0 ? '' : ` Nodes=${nodes.map(({ host }) => host.name).join(',')}`;
  lines.push(
    `PartitionName=${SSH_PARTITION}${members} LLN=YES MaxTime=${maxTime} AllowGroups=jr-remote State=${state}`,
  );
  return lines;
}

/** Returns their lines of gres.conf; shards stand after all GPUs. */
export function sshGresLines(
  nodes: readonly SshNode[],
  layout: Pick<Layout, 'sshGpus'>,
  names: GresNames,
): string[] {
  return nodes.flatMap(({ host }) => {
    const line = (kind: string, i: number, more = '') =>
      `NodeName=${host.name} Name=${kind} Type=${names.gpuType}${i}${more} File=${deviceOf(layout, host.name, i)}`;
    return [
      ...indicesOf(host).map((i) => line('gpu', i)),
      ...indicesOf(host).map((i) => line('shard', i, ` Count=${names.shardsPerGpu}`)),
    ];
  });
}

/** Makes the devices that stand for the hosts' GPUs, and removes those of hosts that are gone. */
export function makeSshGpus(layout: Pick<Layout, 'sshGpus'>, hosts: readonly ResolvedHost[]): void {
  for (const name of readdirSync(layout.sshGpus))
    if (!hosts.some((host) => host.name === name))
      rmSync(join(layout.sshGpus, name), { recursive: true });
  for (const host of hosts) {
    mkdirSync(join(layout.sshGpus, host.name), { recursive: true, mode: 0o755 });
    for (const index of indicesOf(host)) {
      const device = deviceOf(layout, host.name, index);
      if (!existsSync(device)) makeDevice(device, index);
    }
  }
}

/**
 * Gives each host a port for its slurmd; a host with a port keeps it.
 * @throws ConfigError when none are left
 */
export async function withPorts(
  hosts: readonly ResolvedHost[],
  present: readonly SshNode[],
  config: Pick<Config, 'port' | 'ports' | 'ssh'>,
): Promise<SshNode[]> {
  const { slurmctld, slurmd, slurmdbd } = config.ports;
  const used = new Set([config.port, slurmctld, slurmd, slurmdbd, ...present.map((n) => n.port)]);
  const first = config.ssh.slurmdPort;
  let next = first;
  const nodes: SshNode[] = [];
  for (const host of hosts) {
    const kept = present.find((node) => node.host.name === host.name)?.port;
    if (kept === undefined) while (used.has(next) || !(await isFree(next))) next = after(next);
    nodes.push({ host, port: kept ?? next });
    used.add(kept ?? next);
  }
  return nodes;

  function after(port: number): number {
    if (port + 1 >= Math.min(65_536, first + portsTried))
      throw new ConfigError(
        `JR_SSH_SLURMD_PORT: no free port from ${first} on for the slurmd of ${hosts.length} SSH hosts; set another`,
      );
    return port + 1;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => {
      if (errnoOf(error) === 'EADDRINUSE' || errnoOf(error) === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen({ host: '127.0.0.1', port }, () => server.close(() => resolve(true)));
  });
}

function indicesOf(host: ResolvedHost): number[] {
  return Array.from({ length: host.gpus.count }, (_, index) => index);
}
