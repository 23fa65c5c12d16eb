import { execa } from 'execa';
import type { Config } from '../../config/config.js';
import type { Layout } from '../../config/layout.js';
import { detectHardware, type Hardware } from './detect.js';
import { makeFolders } from './folders.js';
import { makeNameLoopback } from './host-address.js';
import { installApp, type Installation } from './install-app.js';
import { makeJobUsers } from './make-job-users.js';
import { findUnixUsers, type UnixUsers } from './unix-users.js';

/** A machine on which daemons can be started: a controller, or a worker. */
export interface Machine {
  config: Config;
  layout: Layout;
  unixUsers: UnixUsers;
  hardware: Hardware;
  app: Installation;
  /** As `slurmd -V` prints it. */
  slurm: string;
  /** Where NoInAddrAny makes Slurm's daemons listen; undefined unless that is on loopback. */
  loopback: string | undefined;
}

/**
 * Makes the users, folders and files that the daemons of a controller or a worker need.
 * @param files the user's own files, which a worker does not have
 * @throws ConfigError, one line with the remedy
 */
export async function prepareMachine(
  config: Config,
  layout: Layout,
  files: { jobsFile: string; stateFile: string },
  say: (line: string) => void,
): Promise<Machine> {
  await makeJobUsers(config.jobUsers, say);
  const unixUsers = findUnixUsers();
  makeFolders(layout, unixUsers, files);
  const hardware = await detectHardware(config.node, layout.simulatedGpus);
  const { stdout: slurm } = await execa('/usr/sbin/slurmd', ['-V']);
  const app = await installApp(layout);
  const loopback = await makeNameLoopback();
  return { config, layout, unixUsers, hardware, app, slurm, loopback };
}

/** Describes the hardware in a few words, for the line that says that all is ready. */
export function inWords({ gpus, cpus, memoryMb }: Hardware): string {
  const gpuWords = gpus.length === 0 ? 'no GPU' : `${gpus.length} GPU(s)`;
  return `${gpuWords}, ${cpus} CPU(s), ${memoryMb} MiB for jobs`;
}
