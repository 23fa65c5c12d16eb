import { every } from '../../every.js';
import { NODE_NAME } from '../../config/layout.js';
import {
  HostsFileError,
  isEmptyHostsFile,
  parseHosts,
  type SshHost,
} from '../../cluster/ssh-hosts/hosts.js';
import { LEAVING_REASON, type ResolvedHost } from '../../cluster/ssh-hosts/resolved-hosts.js';
import { ConfigError } from '../../config/config-error.js';
import { makeSpoolFolder } from '../daemons/folders.js';
import { scontrol, squeueOn } from '../daemons/job-processes.js';
import { openPartitions, waitForNodes } from '../daemons/partitions.js';
import { SSH_WATCH, writeSupervisorConfig, type Program } from '../daemons/programs.js';
import { writeSlurmConfig, type SlurmConfigParts } from '../daemons/slurm-config.js';
import {
  hostsFileProblem,
  layOutHosts,
  readHostsFile,
  removeOtherKeys,
  writeHostsRecord,
} from './ssh-hosts-file.js';
import { makeSshGpus, slurmdProgram, withPorts, type SshNode } from '../daemons/ssh-nodes.js';
import type { Supervisor } from '../daemons/supervisor.js';

const lookMs = 2000;
/** The longest time that one slurmd's missing registration keeps jobs from starting. */
const registerMs = 60_000;

export interface SshNodesParts {
  slurm: SlurmConfigParts;
  /** Returns all programs of a stack with these SSH hosts. */
  programs: (sshNodes: string[]) => Program[];
  say: (line: string) => void;
}

/**
 * The SSH hosts as nodes of Slurm, kept in step with their file while the stack runs. A host that
 * leaves, or gets other CPUs, memory or GPUs, is drained and goes once nothing runs there.
 */
export class SshNodes {
  readonly #parts: SshNodesParts;

  #nodes: SshNode[] = [];
  /** The hosts of the last usable file, without those that are leaving. */
  #wanted: ResolvedHost[] = [];
  /** The content at the last read; undefined when the file must be read again. */
  #seen: string | undefined;
  #problem: string | null = null;
  /** True after a change that failed half-way, which must be repeated. */
  #isHalfDone = false;
  /** Once there, the partition stays: jobs may wait in it. */
  #hasPartition = false;

  private constructor(parts: SshNodesParts) {
    this.#parts = parts;
  }

  /**
   * Writes the files that the daemons read, with and for these hosts.
   * @throws ConfigError
   */
  static async open(hosts: readonly SshHost[], parts: SshNodesParts): Promise<SshNodes> {
    const ssh = new SshNodes(parts);
    const { config, layout, unixUsers } = parts.slurm;
    try {
      ssh.#seen = readHostsFile(config.ssh) ?? '';
      ssh.#wanted = await layOutHosts(hosts, [], config.ssh.passwords, layout, unixUsers);
    } catch (error) {
      if (!(error instanceof HostsFileError)) throw error;
      throw new ConfigError(hostsFileProblem(config.ssh, error));
    }
    ssh.#nodes = await withPorts(ssh.#wanted, [], config);
    ssh.#writeConfiguration('UP');
    ssh.#tell();
    return ssh;
  }

  /** The Slurm names of the present nodes. */
  get names(): string[] {
    return this.#nodes.map(({ host }) => host.name);
  }

  /** The names of their slurmds by port. */
  get ports(): Map<number, string> {
    return new Map(this.#nodes.map(({ host, port }) => [port, slurmdProgram(host.name)]));
  }

  /**
   * Waits until these nodes' slurmds, started no earlier than `since` (milliseconds since 1970),
   * have registered. Nothing waits longer for SSH hosts: supervisord starts a slurmd until it
   * stays, and slurmd then registers by itself.
   * @returns the nodes that have not registered after a minute, after a warning
   */
  async registered(nodes: readonly string[], since: number, signal: AbortSignal) {
    const { layout } = this.#parts.slurm;
    const silent = await waitForNodes(layout, nodes, since, signal, registerMs);
    if (silent.length > 0)
      this.#parts.say(`no slurmd has registered for ${silent.join(', ')}; see ${layout.logs}`);
    return silent;
  }

  /** Follows the file until `signal` fires. */
  async watch(supervisor: Supervisor, signal: AbortSignal): Promise<void> {
    const look = async () => {
      await this.#read();
      await this.#reconcile(supervisor, signal);
    };
    await every(lookMs, signal, look, (error) => {
      this.#parts.say(`following the SSH hosts file failed: ${String(error)}`);
    });
  }

  /** Reads the file. An unusable one changes nothing but the reported problem. */
  async #read(): Promise<void> {
    const { config, layout, unixUsers } = this.#parts.slurm;
    try {
      const seen = readHostsFile(config.ssh) ?? '';
      if (seen === this.#seen) return;
      const hosts = parseHosts(seen);
      if (this.#nodes.some(({ host }) => !host.leaving) && isEmptyHostsFile(seen))
        throw new HostsFileError('is empty; to remove all SSH hosts, write hosts: []');
      const leaving = this.#nodes.map(({ host }) => host);
      const { passwords } = config.ssh;
      this.#wanted = await layOutHosts(hosts, leaving, passwords, layout, unixUsers);
      this.#seen = seen;
      this.#problem = null;
      this.#tell();
      this.#parts.say(`${config.ssh.nodesFile} was read: ${hosts.length} SSH host(s)`);
    } catch (error) {
      if (!(error instanceof HostsFileError)) throw error;
      // Read the file again even if it stays the same: a missing key may appear.
      this.#seen = undefined;
      const problem = hostsFileProblem(config.ssh, error);
      if (problem === this.#problem) return;
      this.#problem = problem;
      this.#tell();
      this.#parts.say(`${problem}; the SSH hosts stay as they were`);
    }
  }

  async #reconcile(supervisor: Supervisor, signal: AbortSignal): Promise<void> {
    const { layout } = this.#parts.slurm;
    const staying: ResolvedHost[] = [];
    const added = this.#wanted.filter((host) => !this.names.includes(host.name));
    for (const { host } of this.#nodes) {
      const wanted = this.#wanted.find(({ name }) => name === host.name);
      if (wanted !== undefined && isSameForSlurm(wanted, host)) {
        if (host.leaving) await this.#letStay(host.name);
        staying.push(wanted);
        continue;
      }
      if (!host.leaving) {
        this.#parts.say(`SSH host ${host.name} leaves once its jobs have ended`);
        const reason = `Reason=${LEAVING_REASON}`;
        await scontrol(layout, 'update', `NodeName=${host.name}`, 'State=DRAIN', reason);
      }
      const jobs = await squeueOn(layout, host.name);
      if (jobs === undefined || jobs.length > 0) staying.push({ ...host, leaving: true });
    }
    const next = [...staying, ...added];
    const gone = this.names.filter((name) => !next.some((host) => host.name === name));
    if (added.length > 0 || gone.length > 0 || this.#isHalfDone)
      await this.#change(next, gone, supervisor, signal);
    else {
      const changed = JSON.stringify(staying) !== JSON.stringify(this.#nodes.map((n) => n.host));
      this.#nodes = this.#nodes.map((node, i) => ({ ...node, host: staying[i] ?? node.host }));
      if (changed) this.#tell();
    }
  }

  /**
   * Applies a change. Slurm adds and removes nodes only when slurmctld starts (22.05,
   * slurm.conf(5)); running jobs continue.
   */
  async #change(
    next: readonly ResolvedHost[],
    gone: readonly string[],
    supervisor: Supervisor,
    signal: AbortSignal,
  ): Promise<void> {
    const { layout, config } = this.#parts.slurm;
    const before = this.names;
    const nodes = await withPorts(next, this.#nodes, config);
    const added = nodes.map(({ host }) => host.name).filter((name) => !before.includes(name));
    this.#nodes = nodes;
    this.#isHalfDone = true;
    if (gone.length > 0) this.#tell();
    // Close the partitions: slurmctld would start jobs on nodes whose GPUs have not been reported
    // yet.
    this.#writeConfiguration('DOWN');
    await supervisor.reload();
    for (const name of gone) await supervisor.removeProgram(slurmdProgram(name));
    for (const name of this.names) await supervisor.addProgram(slurmdProgram(name));
    if (nodes.length > 0) await supervisor.addProgram(SSH_WATCH);
    await supervisor.stopProgram('slurmctld');
    await supervisor.startProgram('slurmctld');
    for (const name of this.names) await supervisor.startIfStopped(slurmdProgram(name));
    if (nodes.length > 0) await supervisor.startIfStopped(SSH_WATCH);
    // The watch over slurmctld makes the slurmds that ran before register.
    const silent = await this.registered([NODE_NAME, ...this.names], 0, signal);
    this.#writeConfiguration('UP');
    await openPartitions(layout);
    if (silent.includes(NODE_NAME)) throw new Error('slurmctld or our own slurmd does not answer');
    this.#isHalfDone = false;
    this.#tell();
    removeOtherKeys([...this.#nodes.map(({ host }) => host), ...this.#wanted], layout);
    if (added.length > 0) this.#parts.say(`SSH hosts added: ${added.join(', ')}`);
    if (gone.length > 0) this.#parts.say(`SSH hosts removed: ${gone.join(', ')}`);
  }

  async #letStay(name: string): Promise<void> {
    await scontrol(this.#parts.slurm.layout, 'update', `NodeName=${name}`, 'State=RESUME');
  }

  #writeConfiguration(state: 'UP' | 'DOWN'): void {
    const { slurm, programs } = this.#parts;
    const { layout } = slurm;
    this.#hasPartition ||= this.#nodes.length > 0;
    for (const node of [NODE_NAME, ...this.names])
      makeSpoolFolder(layout, node, slurm.unixUsers, this.#parts.say);
    makeSshGpus(
      layout,
      this.#nodes.map(({ host }) => host),
    );
    writeSlurmConfig(slurm, { nodes: this.#nodes, hasPartition: this.#hasPartition }, state);
    writeSupervisorConfig(layout, programs(this.names));
  }

  #tell(): void {
    const { layout, unixUsers } = this.#parts.slurm;
    const hosts = this.#nodes.map(({ host }) => host);
    writeHostsRecord({ hosts, problem: this.#problem }, layout, unixUsers);
  }
}

/** Returns whether the change of a host needs no change in Slurm. */
function isSameForSlurm(a: ResolvedHost, b: ResolvedHost): boolean {
  return (
    a.cpus === b.cpus &&
    a.memory_gb === b.memory_gb &&
    a.gpus.count === b.gpus.count &&
    a.gpus.memory_gb === b.gpus.memory_gb
  );
}
