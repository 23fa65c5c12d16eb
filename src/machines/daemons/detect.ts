import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { ConfigError } from '../../config/config-error.js';
import type { Config } from '../../config/config.js';
import type { Gpu } from '../../cluster/gpus/gpu.js';
import {
  parseDeviceMinor,
  parseSmi,
  smiArguments,
  type SmiRow,
} from '../../cluster/gpus/nvidia-smi-output.js';
import { simulatedSmi } from '../../cluster/gpus/simulated.js';
import { packageRoot } from '../../config/package-root.js';

const MB = 1024 ** 2;
const smiTimeoutMs = 30_000;

/** The resources of this machine for jobs: as set, otherwise as detected. */
export interface Hardware {
  cpus: number;
  memoryMb: number;
  gpus: Gpu[];
}

/** Detects the hardware. @throws ConfigError for a setting that this machine cannot fulfil. */
export async function detectHardware(
  node: Config['node'],
  simulatedGpuFolder: string,
): Promise<Hardware> {
  const present = presentMemoryMb();
  if (node.memoryMb !== undefined && node.memoryMb > present)
    throw new ConfigError(
      `JR_REAL_MEM_MB: ${node.memoryMb} is more than the ${present} MiB of this machine; leave it unset to detect the memory`,
    );
  return {
    cpus: node.cpus ?? availableParallelism(),
    // Detected memory leaves some for the daemons and the API.
    memoryMb: node.memoryMb ?? Math.max(128, present - Math.min(2048, Math.floor(present / 10))),
    gpus:
      node.simulatedGpus > 0
        ? simulateGpus(node.simulatedGpus, simulatedGpuFolder)
        : await findGpus(node.gpus),
  };
}

/**
 * Returns the machine's memory, or the container's limit if that is less (cgroup v2, then v1).
 */
function presentMemoryMb(): number {
  const limits = ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes']
    .filter((path) => existsSync(path))
    .map((path) => Number(readFileSync(path, 'utf8')))
    .filter((bytes) => Number.isFinite(bytes) && bytes > 0);
  return Math.floor(Math.min(totalmem(), ...limits) / MB);
}

/**
 * Pairs the device files of this container with the driver's names for them. Slurm hands out minor
 * numbers; CUDA cannot use those in a container with only some of the machine's GPUs. A UUID is
 * right everywhere.
 */
async function findGpus(wanted: number | undefined): Promise<Gpu[]> {
  const minors = readdirSync('/dev')
    .map((name) => /^nvidia(\d+)$/.exec(name)?.[1])
    .filter((minor) => minor !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
  if (wanted !== undefined && wanted > minors.length)
    throw new ConfigError(
      `JR_NUM_GPUS: is ${wanted}, but ${minors.length} were found as /dev/nvidiaN; start the container with --gpus all, or leave it unset`,
    );
  const used = minors.slice(0, wanted);
  if (used.length === 0) return [];
  const rows = await askNvidiaSmi();
  const byMinor = new Map(rows.map((row) => [minorOf(row), row]));
  return used.map((minor, index) => {
    const row = byMinor.get(minor);
    if (row === undefined)
      throw new ConfigError(
        `nvidia-smi does not list the GPU /dev/nvidia${minor}; check the driver, or set JR_NUM_GPUS=0`,
      );
    const { uuid, model, memoryMb } = row;
    return { index, device: `/dev/nvidia${minor}`, uuid, model, memoryMb };
  });
}

async function askNvidiaSmi(): Promise<SmiRow[]> {
  const { stdout } = await execa('nvidia-smi', smiArguments, { timeout: smiTimeoutMs }).catch(
    (cause: unknown) => {
      throw new ConfigError(
        '/dev/nvidiaN exist but nvidia-smi does not work; set NVIDIA_DRIVER_CAPABILITIES=compute,utility, or JR_NUM_GPUS=0',
        { cause },
      );
    },
  );
  return parseSmi(stdout);
}

function minorOf(row: SmiRow): number {
  const path = `/proc/driver/nvidia/gpus/${row.busId}/information`;
  // Some container runtimes hide the driver's folder; only the order of the devices is left there.
  return existsSync(path) ? (parseDeviceMinor(readFileSync(path, 'utf8')) ?? row.index) : row.index;
}

/**
 * Makes the devices that Slurm takes for GPUs. It wants device nodes: 24.11 gives a job no
 * SLURM_JOB_GPUS for plain files. A container without CAP_MKNOD cannot make one; a link to an
 * existing one will do, under a name that ends in the GPU's number.
 */
function simulateGpus(count: number, folder: string): Gpu[] {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  copyFileSync(join(packageRoot, 'docker', 'simulated-nvidia-smi.sh'), simulatedSmi(folder));
  chmodSync(simulatedSmi(folder), 0o755);
  return Array.from({ length: count }, (_, index) => {
    const device = join(folder, `gpu${index}`);
    makeDevice(device, index);
    return { index, device, uuid: null, model: 'Simulated GPU', memoryMb: 81_920 };
  });
}

/**
 * Makes a device node with a number that no driver has (240 to 254 are for local use:
 * kernel.org/doc/Documentation/admin-guide/devices.txt). cgroups deny a job the devices of others,
 * which must not include /dev/null. A container without CAP_MKNOD has no writable cgroups either; a
 * link to /dev/null will do there.
 */
export function makeDevice(path: string, minor: number): void {
  const made = spawnSync('mknod', [path, 'c', '240', String(minor)], { stdio: 'ignore' });
  if (made.status !== 0) symlinkSync('/dev/null', path);
}
