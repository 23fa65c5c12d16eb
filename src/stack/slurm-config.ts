import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config.js';
import type { Gpu } from '../gpus/gpu.js';
import { packageRoot } from '../package-root.js';
import { holdReserve } from '../slurm/hold.js';
import { fillPlaceholders } from '../templates/placeholders.js';
import type { Hardware } from './detect.js';
import { NODE_NAME, type Layout } from '../layout.js';
import type { Accounts } from './accounts.js';

/** Year and month of a Slurm release, such as 24.11. */
type SlurmRelease = { year: number; month: number };

/** @param said what `slurmd -V` prints, such as `slurm-wlm 24.11.5` */
export function parseSlurmRelease(said: string): SlurmRelease {
  const [, year, month] = /^slurm\S* (\d+)\.(\d+)\./.exec(said) ?? [];
  if (year === undefined) throw new Error(`slurmd -V printed no release: ${said}`);
  return { year: Number(year), month: Number(month) };
}

/** The lines of cgroup.conf (cgroup.conf(5)). */
export function cgroupLines(useCgroups: boolean, release: SlurmRelease): string[] {
  // 22.05 knows neither of the two settings of later releases, and refuses to start over what it does not know.
  const isNew = release.year >= 24;
  if (!useCgroups)
    // Newer ones look for cgroups though nothing uses them, and slurmd ends where they are of version 2 and read-only.
    return isNew ? ['CgroupPlugin=disabled'] : [];
  return [
    'ConstrainRAMSpace=yes',
    'ConstrainDevices=yes',
    // A container has no systemd to ask for a scope.
    ...(isNew ? ['IgnoreSystemdOnFailure=yes'] : []),
  ];
}

/**
 * Writes what slurmctld, slurmd and slurmdbd read, from the settings and the hardware.
 * @param onLoopback whether NoInAddrAny makes daemons listen on loopback here, see host-address.ts
 */
export function writeSlurmConfig(
  config: Config,
  hardware: Hardware,
  layout: Layout,
  accounts: Accounts,
  release: SlurmRelease,
  onLoopback: boolean,
): void {
  mkdirSync(layout.slurmEtc, { recursive: true, mode: 0o755 });
  const { useCgroups, gpuType, maxTime } = config.node;
  const { shardsPerGpu } = config.gpus;
  const typeOf = (gpu: Gpu) => `${gpuType}${gpu.index}`;
  const gres = hardware.gpus
    .flatMap((gpu) => [`gpu:${typeOf(gpu)}:1`, `shard:${typeOf(gpu)}:${shardsPerGpu}`])
    .join(',');
  const reserve = holdReserve(hardware.cpus, hardware.gpus.length);

  render('slurm.conf', 0o644, {
    communication: onLoopback ? 'CommunicationParameters=NoCtldInAddrAny,NoInAddrAny' : '',
    slurmctld_port: config.ports.slurmctld,
    slurmd_port: config.ports.slurmd,
    slurmdbd_port: config.ports.slurmdbd,
    munge_socket: layout.mungeSocket,
    state_dir: layout.slurmState,
    spool_dir: layout.slurmSpool,
    run_dir: layout.run,
    proctrack: useCgroups ? 'proctrack/cgroup' : 'proctrack/linuxproc',
    task_plugin: useCgroups ? 'task/cgroup' : 'task/none',
    // With cgroups the kernel holds a job to its memory; without, slurmd watches and kills.
    job_acct_gather_params: useCgroups ? '' : 'JobAcctGatherParams=OverMemoryKill',
    epilog: join(layout.slurmEtc, 'epilog.sh'),
    node_name: NODE_NAME,
    cpus: hardware.cpus,
    node_cpus: hardware.cpus + reserve.cpus,
    node_memory_mb: hardware.memoryMb + reserve.memoryMb,
    node_gres: gres === '' ? '' : ` Gres=${gres}`,
    max_time: maxTime,
  });
  render('epilog.sh', 0o755, {
    results_dir: layout.results,
    slurm_conf: layout.slurmConf,
    job_ended_file: layout.jobEnded,
    screen_dir: layout.screens,
  });
  render('cgroup.conf', 0o644, { cgroups: cgroupLines(useCgroups, release).join('\n') });
  // slurmdbd refuses a configuration that others can read.
  render('slurmdbd.conf', 0o600, {
    communication: onLoopback ? 'CommunicationParameters=NoInAddrAny' : '',
    munge_socket: layout.mungeSocket,
    slurmdbd_port: config.ports.slurmdbd,
    state_dir: layout.slurmState,
  });
  chownSync(join(layout.slurmEtc, 'slurmdbd.conf'), accounts.slurm.uid, accounts.slurm.gid);
  render('accounting.sql', 0o644, {});

  // A type for each GPU, so that a job, whole or share, can be given that one (gres.conf(5)). Shards stand after all GPUs.
  const line = (name: string, gpu: Gpu, more = '') =>
    `NodeName=${NODE_NAME} Name=${name} Type=${typeOf(gpu)}${more} File=${gpu.device}\n`;
  const lines = [
    ...hardware.gpus.map((gpu) => line('gpu', gpu)),
    ...hardware.gpus.map((gpu) => line('shard', gpu, ` Count=${shardsPerGpu}`)),
  ];
  writeFileSync(join(layout.slurmEtc, 'gres.conf'), lines.join(''));
  writeFileSync(layout.gpuMap, `${JSON.stringify(hardware.gpus, null, 2)}\n`);

  function render(name: string, mode: number, values: Record<string, string | number>): void {
    const template = readFileSync(join(packageRoot, 'slurm', name), 'utf8');
    const path = join(layout.slurmEtc, name);
    writeFileSync(
      path,
      fillPlaceholders(template, (placeholder) => values[placeholder]),
    );
    chmodSync(path, mode);
  }
}
