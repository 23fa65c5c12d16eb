import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  statfsSync,
} from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../config/config-error.js';
import type { Config } from '../../config/config.js';
import { errnoOf } from '../../errors.js';
import type { Layout } from '../../config/layout.js';
import { readJobEnvFile } from '../../jobs/job-env-file.js';
import { refuseNoFolder } from '../../config/templates-folder.js';
import { refuseTakenPort } from '../../config/taken-port.js';
import { workerAddress } from '../link/link.js';

/** With less, the daemons' own logs and database would soon fail. */
const minimumFreeBytes = 512 * 1024 ** 2;

/**
 * Checks the causes of a start's failure before anything is started.
 * @throws ConfigError, one line with the remedy
 */
export async function preflight(config: Config, layout: Layout): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new ConfigError('JobRunner starts its daemons under their own users: run it as root');
  makeRoot(config.root);
  refuseRunningStack(layout);
  const { bavail, bsize } = statfsSync(config.root);
  if (bavail * bsize < minimumFreeBytes)
    throw new ConfigError(
      `JR_ROOT: ${config.root} has ${Math.floor((bavail * bsize) / 1024 ** 2)} MiB free but needs 512; make room or set another JR_ROOT`,
    );
  refuseNoFolder(config.templates);
  readJobEnvFile(config.jobEnvFile);
  if (config.node.useCgroups) refuseReadOnlyCgroups();

  await refuseTakenPort('JR_SLURMCTLD_PORT', '127.0.0.1', config.ports.slurmctld);
  await refuseTakenPort('JR_SLURMD_PORT', '127.0.0.1', config.ports.slurmd);
  if (config.role === 'worker') return;
  await refuseTakenPort('JR_PORT', config.host, config.port);
  await refuseTakenPort('JR_SLURMDBD_PORT', '127.0.0.1', config.ports.slurmdbd);
  if (config.join === undefined) return;
  await refuseTakenPort('JR_JOIN_PORT', '0.0.0.0', config.join.port);
  await refuseTakenPort('JR_WORKER_SLURMD_PORT', workerAddress('worker1'), config.join.slurmdPort);
}

function makeRoot(root: string): void {
  try {
    // Step by step: Node's recursive mkdir never returns below /proc.
    for (let end = root.indexOf('/', 1); ; end = root.indexOf('/', end + 1)) {
      const folder = end === -1 ? root : root.slice(0, end);
      if (!existsSync(folder)) mkdirSync(folder, { mode: 0o755 });
      if (end === -1) break;
    }
    accessSync(root, constants.W_OK | constants.X_OK);
    mkdirSync(join(root, 'run'), { recursive: true, mode: 0o755 });
  } catch (cause) {
    throw new ConfigError(
      `JR_ROOT: cannot write ${root} (${errnoOf(cause) ?? String(cause)}); name another folder`,
      { cause },
    );
  }
}

function refuseRunningStack(layout: Layout): void {
  const pidFile = join(layout.run, 'supervisord.pid');
  if (!existsSync(pidFile)) return;
  const pid = Number(readFileSync(pidFile, 'utf8'));
  const commandLine = `/proc/${pid}/cmdline`;
  // Another process may have that number by now; only ours was started with this configuration.
  if (existsSync(commandLine) && readFileSync(commandLine, 'utf8').includes(layout.supervisorConf))
    throw new ConfigError(
      `a JobRunner already runs in ${layout.root}; stop it with "kill ${pid}", or set another JR_ROOT`,
    );
}

/**
 * Checks that Slurm can make its groups below the controllers' roots (cgroup.conf(5)). A container
 * without privileges mounts them read-only.
 */
function refuseReadOnlyCgroups(): void {
  const unified = existsSync('/sys/fs/cgroup/cgroup.controllers');
  const folders = unified
    ? ['/sys/fs/cgroup']
    : ['memory', 'devices', 'freezer'].map((controller) => `/sys/fs/cgroup/${controller}`);
  for (const folder of folders) {
    try {
      accessSync(folder, constants.W_OK);
      const probe = join(folder, `jobrunner-probe-${process.pid}`);
      mkdirSync(probe);
      // Only rmdir(2) removes a control group: its files cannot be unlinked.
      rmdirSync(probe);
    } catch (cause) {
      throw new ConfigError(
        `JR_USE_CGROUPS: cannot write ${folder} (${errnoOf(cause) ?? String(cause)}); start the container with --privileged, or set JR_USE_CGROUPS=0`,
        { cause },
      );
    }
  }
}
