import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { publicSettings } from '../../config/secrets.js';
import type { Config } from '../../config/config.js';
import type { Gpu } from '../../cluster/gpus/gpu.js';
import { gpuMemoryFeatureOf } from '../../cluster/ssh-hosts/capacity.js';
import { packageRoot } from '../../config/package-root.js';
import { placeholderReserve } from '../../cluster/slurm/placeholder-jobs.js';
import { fillPlaceholders } from '../../jobs/templates/placeholders.js';
import type { Hardware } from './detect.js';
import { NODE_NAME, type Layout } from '../../config/layout.js';
import { shellQuote } from '../../jobs/script/shell-quote.js';
import type { UnixUsers } from './unix-users.js';
import { workerLines } from './worker-lines.js';
import type { Installation } from './install-app.js';
import { sshGresLines, sshNodeLines, type SshNode } from './ssh-nodes.js';

/** Year and month of a Slurm release, such as 24.11. */
type SlurmRelease = { year: number; month: number };

/** Slurm's numbers of jobs start anew after this one (slurm.conf(5), MaxJobId). */
export const MAX_JOB_ID = 67_043_328;

/** Parses a release. @param said the output of `slurmd -V`, such as `slurm-wlm 24.11.5` */
export function parseSlurmRelease(said: string): SlurmRelease {
  const [, year, month] = /^slurm\S* (\d+)\.(\d+)\./.exec(said) ?? [];
  if (year === undefined) throw new Error(`slurmd -V printed no release: ${said}`);
  return { year: Number(year), month: Number(month) };
}

/** Returns the lines of cgroup.conf (cgroup.conf(5)). */
export function cgroupLines(useCgroups: boolean, release: SlurmRelease): string[] {
  // 22.05 knows neither of these two settings, and refuses to start over an unknown one.
  const isNew = release.year >= 24;
  if (!useCgroups)
    // Newer releases look for cgroups even when nothing uses them; slurmd ends if they are of
    // version 2 and read-only.
    return isNew ? ['CgroupPlugin=disabled'] : [];
  return [
    'ConstrainRAMSpace=yes',
    'ConstrainDevices=yes',
    // A container has no systemd to ask for a scope.
    ...(isNew ? ['IgnoreSystemdOnFailure=yes'] : []),
  ];
}

/**
 * The parts of the configuration, without the SSH hosts, which may change while the daemons run.
 */
export interface SlurmConfigParts {
  config: Config;
  hardware: Hardware;
  layout: Layout;
  unixUsers: UnixUsers;
  release: SlurmRelease;
  /** Where NoInAddrAny makes the daemons listen; undefined unless that is on loopback. */
  loopback: string | undefined;
  /** Above every number that Slurm has given a job; a restored state may know fewer of them. */
  firstJobId: number;
  app: Installation;
}

export interface SshPart {
  nodes: readonly SshNode[];
  /** True when the partition exists even without hosts. */
  hasPartition: boolean;
}

/**
 * Writes the files of slurmctld, slurmd and slurmdbd, from the settings, the hardware and the SSH
 * hosts.
 * @param state of the partitions when slurmctld starts
 */
export function writeSlurmConfig(
  parts: SlurmConfigParts,
  ssh: SshPart,
  state: 'UP' | 'DOWN' = 'UP',
): void {
  const { config, hardware, layout, unixUsers, release, loopback, firstJobId, app } = parts;
  mkdirSync(layout.slurmEtc, { recursive: true, mode: 0o755 });
  const { useCgroups, gpuType, maxTime } = config.node;
  const { shardsPerGpu } = config.gpus;
  const typeOf = (gpu: Gpu) => `${gpuType}${gpu.index}`;
  const gres = hardware.gpus
    .flatMap((gpu) => [`gpu:${typeOf(gpu)}:1`, `shard:${typeOf(gpu)}:${shardsPerGpu}`])
    .join(',');
  const leastMb = Math.min(...hardware.gpus.map(({ memoryMb }) => memoryMb));
  const reserve = placeholderReserve(hardware.cpus, hardware.gpus.length);

  const address = loopback ?? '127.0.0.1';
  const names = { gpuType, shardsPerGpu, address };
  const common = {
    communication: loopback ? 'CommunicationParameters=NoCtldInAddrAny,NoInAddrAny' : '',
    address,
    slurmctld_port: config.ports.slurmctld,
    slurmd_port: config.ports.slurmd,
    workers_slurmd_port: config.join?.slurmdPort ?? config.ports.slurmd,
    slurmdbd_port: config.ports.slurmdbd,
    munge_socket: layout.mungeSocket,
    state_dir: layout.slurmState,
    spool_dir: layout.slurmSpool,
    run_dir: layout.run,
    node_name: NODE_NAME,
    cpus: hardware.cpus,
    node_cpus: hardware.cpus + reserve.cpus,
    node_memory_mb: hardware.memoryMb + reserve.memoryMb,
    node_gres: gres === '' ? '' : ` Gres=${gres}`,
    node_feature: hardware.gpus.length === 0 ? '' : ` Feature=${gpuMemoryFeatureOf(leastMb)}`,
    first_job_id: firstJobId,
    max_time: maxTime,
    partition_state: state,
    // A job for the first free target need not fit all partitions.
    enforce_limits: config.join || ssh.hasPartition ? 'ANY' : 'ALL',
    workers: workerLines(config.join, maxTime).join('\n'),
    ssh: sshNodeLines(ssh.nodes, names, maxTime, state, ssh.hasPartition).join('\n'),
  };
  render('slurm.conf', 0o644, {
    ...common,
    proctrack: useCgroups ? 'proctrack/cgroup' : 'proctrack/linuxproc',
    task_plugin: useCgroups ? 'task/cgroup' : 'task/none',
    // With cgroups the kernel enforces a job's memory; without, slurmd watches and kills.
    job_acct_gather_params: useCgroups ? '' : 'JobAcctGatherParams=OverMemoryKill',
    epilog: join(layout.slurmEtc, 'epilog.sh'),
  });
  // A job's limits on its SSH host do not fit the process that watches it from here.
  const sshConf = {
    ...common,
    proctrack: 'proctrack/linuxproc',
    task_plugin: 'task/none',
    job_acct_gather_params: '',
    epilog: join(layout.slurmEtc, 'epilog-ssh.sh'),
  };
  render('slurm.conf', 0o644, sshConf, layout.slurmConfSsh);
  render('epilog-ssh.sh', 0o755, { job_ended_file: layout.jobEnded });
  render('any-job.sh', 0o644, {
    remote_job: shellQuote(layout.sshJobScript),
    own_log: shellQuote(layout.ownLog),
  });
  render('own-log.sh', 0o644, { logs_dir: shellQuote(layout.jobLogs) });
  render('remote-job.sh', 0o755, {
    own_log: shellQuote(layout.ownLog),
    slurm_conf: shellQuote(layout.slurmConf),
    settings: Object.entries(sshEnvironment(config))
      .map(([name, value]) => `${name}=${shellQuote(value)}`)
      .join(' '),
    node: shellQuote(app.node),
    main: shellQuote(join(app.root, 'dist/main.js')),
  });
  renderEpilog(layout);
  render('cgroup.conf', 0o644, { cgroups: cgroupLines(useCgroups, release).join('\n') });
  // slurmdbd refuses a configuration that others can read.
  render('slurmdbd.conf', 0o600, {
    communication: loopback ? 'CommunicationParameters=NoInAddrAny' : '',
    address,
    munge_socket: layout.mungeSocket,
    slurmdbd_port: config.ports.slurmdbd,
    state_dir: layout.slurmState,
  });
  chownSync(join(layout.slurmEtc, 'slurmdbd.conf'), unixUsers.slurm.uid, unixUsers.slurm.gid);
  render('accounting.sql', 0o644, {});

  // Each GPU has its own type, so that a job can be given that one, whole or a share
  // (gres.conf(5)). Shards stand after all GPUs.
  const line = (name: string, gpu: Gpu, more = '') =>
    `NodeName=${NODE_NAME} Name=${name} Type=${typeOf(gpu)}${more} File=${gpu.device}\n`;
  const lines = [
    ...hardware.gpus.map((gpu) => line('gpu', gpu)),
    ...hardware.gpus.map((gpu) => line('shard', gpu, ` Count=${shardsPerGpu}`)),
    ...sshGresLines(ssh.nodes, layout, names).map((text) => `${text}\n`),
  ];
  replaceFile(join(layout.slurmEtc, 'gres.conf'), 0o644, lines.join(''));
  writeFileSync(layout.gpuMap, `${JSON.stringify(hardware.gpus, null, 2)}\n`);

  function render(
    name: string,
    mode: number,
    values: Record<string, string | number>,
    path = join(layout.slurmEtc, name),
  ): void {
    renderFile(name, path, mode, values);
  }
}

/**
 * Returns the settings for our own processes that connect to SSH hosts, and no other variable of
 * the caller's.
 */
export function sshEnvironment(config: Config): Record<string, string> {
  const passed = Object.entries(publicSettings()).filter(([name]) => name.startsWith('JR_SSH_'));
  return {
    ...Object.fromEntries(passed),
    JR_ROOT: config.root,
    JR_GPU_TYPE: config.node.gpuType,
    JR_SHARDS_PER_GPU: String(config.gpus.shardsPerGpu),
  };
}

/** Renders the script that slurmd runs after each job on this machine. */
export function renderEpilog(layout: Layout): void {
  const afterJob = join(layout.slurmEtc, 'after-job.pl');
  renderFile('after-job.pl', afterJob, 0o644, {});
  renderFile('epilog.sh', join(layout.slurmEtc, 'epilog.sh'), 0o755, {
    results_dir: layout.results,
    after_job: afterJob,
    slurm_conf: layout.slurmConf,
    job_ended_file: layout.jobEnded,
    screen_dir: layout.screens,
  });
}

/** Fills one of the templates in slurm/. */
export function renderFile(
  name: string,
  path: string,
  mode: number,
  values: Record<string, string | number>,
): void {
  const template = readFileSync(join(packageRoot, 'slurm', name), 'utf8');
  const content = fillPlaceholders(template, (placeholder) => values[placeholder]);
  replaceFile(path, mode, content);
}

/** Replaces a file by renaming: the daemons and their clients read these files at any time. */
export function replaceFile(path: string, mode: number, content: string): void {
  writeFileSync(`${path}.new`, content);
  chmodSync(`${path}.new`, mode);
  renameSync(`${path}.new`, path);
}
