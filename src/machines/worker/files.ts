import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import type { JoinReply } from '../../cluster/workers/record.js';
import { ConfigError } from '../../config/config-error.js';
import type { WorkerConfig } from '../../config/worker.js';
import type { Gpu } from '../../cluster/gpus/gpu.js';
import { gpuAssignments } from '../../jobs/script/gpus.js';
import { shellQuote } from '../../jobs/script/shell-quote.js';
import type { Layout } from '../../config/layout.js';
import type { Machine } from '../daemons/machine.js';
import { privateFile } from '../daemons/folders.js';
import {
  cgroupLines,
  parseSlurmRelease,
  renderEpilog,
  renderFile,
  replaceFile,
} from '../daemons/slurm-config.js';
import { readIdentity, type WorkerIdentity } from './identity.js';

/** The parts of a worker. */
export interface WorkerParts extends Machine {
  worker: WorkerConfig;
}

/**
 * Returns the folder of files that say why a job could not be prepared, by Slurm's job number; see
 * node.sh.
 */
export const problemsFolder = (layout: Pick<Layout, 'run'>) => join(layout.run, 'worker-problems');

/** Makes the folders of a worker, beside those of every stack. */
export function makeWorkerFolders({ layout, unixUsers }: WorkerParts): void {
  const { jobrunner, jobsGroup } = unixUsers;
  const folder = (path: string, mode: number, uid: number, gid: number) => {
    mkdirSync(path, { recursive: true });
    chownSync(path, uid, gid);
    chmodSync(path, mode);
  };
  folder(dirname(layout.workerIdentity), 0o750, 0, jobrunner.gid);
  folder(layout.workerOutbox, 0o700, jobrunner.uid, jobrunner.gid);
  folder(dirname(layout.workerSocket), 0o700, jobrunner.uid, jobrunner.gid);
  folder(problemsFolder(layout), 0o2750, jobrunner.uid, jobsGroup);
}

/** The limit for the files of one job. */
const maxMs = 300_000;

/**
 * Opens the files of cut-off jobs to the agent, as the epilog does for ended ones. Otherwise it
 * could neither send nor remove files that a job has closed to its group. Each job's own user does
 * it, so that no link leads to another's files.
 */
export async function openLeftovers({ layout, unixUsers }: WorkerParts): Promise<void> {
  for (const name of readdirSync(layout.results)) {
    const path = join(layout.results, name);
    const { gid } = lstatSync(path);
    const user = unixUsers.jobs.find((one) => one.gid === gid);
    if (user === undefined) continue;
    const as = [`--reuid=${user.name}`, `--regid=${gid}`, '--init-groups'];
    const command = [...as, 'chmod', '-R', 'u+rwX,g+rwX', '--', path];
    // That user cannot open our own files in it, and need not.
    const options = { reject: false, cwd: '/', stdio: 'ignore' } as const;
    // A process that the user left running may have stopped it.
    await execa('setpriv', command, { ...options, timeout: maxMs, killSignal: 'SIGKILL' });
  }
}

/** Returns the worker's own random id, made once. */
export function workerIdOf({ layout }: Pick<WorkerParts, 'layout'>): string {
  return existsSync(layout.workerIdentity)
    ? readIdentity(layout.workerIdentity).worker_id
    : randomBytes(16).toString('hex');
}

/** Reads the cluster's munge key where a setting names its file. @throws ConfigError */
export function mungeKeyOf({ mungeKeyFile: path }: WorkerConfig): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ConfigError(`JR_MUNGE_KEY_FILE: ${(error as Error).message}`);
  }
}

/**
 * Stores the munge key and the data by which the agent reaches the controller.
 * @param ownKey the key that the worker has by file
 */
export function keepSelf(
  { layout, worker, unixUsers }: WorkerParts,
  id: string,
  reply: JoinReply,
  ownKey: Buffer | undefined,
): void {
  const self: WorkerIdentity = {
    worker_id: id,
    name: reply.name,
    token: reply.worker_token,
    controller: worker.controller,
    fingerprint: worker.token.fingerprint.toString('base64url'),
  };
  const owner = { uid: 0, gid: unixUsers.jobrunner.gid };
  privateFile(layout.workerIdentity, `${JSON.stringify(self, null, 2)}\n`, 0o640, owner);
  const key = ownKey ?? Buffer.from(reply.munge_key ?? '', 'base64');
  privateFile(join(layout.mungeFolder, 'munge.key'), key, 0o600, unixUsers.munge);
}

/** Returns slurmd's description of this node, from which the controller makes one. */
export function nodeOptions({ hardware }: WorkerParts, reply: JoinReply): string {
  const { gpu_type: type, shards_per_gpu: shards } = reply;
  const gres = hardware.gpus
    .flatMap(({ index }) => [`gpu:${type}${index}:1`, `shard:${type}${index}:${shards}`])
    .join(',');
  return [
    'Feature=worker',
    `CPUs=${hardware.cpus}`,
    `RealMemory=${hardware.memoryMb}`,
    ...(gres === '' ? [] : [`Gres=${gres}`]),
  ].join(' ');
}

/** Writes the files that slurmd, its prolog and epilog, and the jobs' scripts read. */
export function writeWorkerConfig(parts: WorkerParts, reply: JoinReply): void {
  const { config, layout, hardware, app, slurm, loopback } = parts;
  const etc = (name: string) => join(layout.slurmEtc, name);
  mkdirSync(layout.slurmEtc, { recursive: true, mode: 0o755 });
  const { useCgroups } = config.node;
  renderFile('worker.conf', layout.slurmConf, 0o644, {
    slurmctld_port: config.ports.slurmctld,
    slurmd_port: config.ports.slurmd,
    communication: loopback ? 'CommunicationParameters=NoInAddrAny' : '',
    munge_socket: layout.mungeSocket,
    spool_dir: layout.slurmSpool,
    run_dir: layout.run,
    timeout_seconds: reply.timeout_seconds,
    proctrack: useCgroups ? 'proctrack/cgroup' : 'proctrack/linuxproc',
    task_plugin: useCgroups ? 'task/cgroup' : 'task/none',
    job_acct_gather_params: useCgroups ? '' : 'JobAcctGatherParams=OverMemoryKill',
    prolog: etc('worker-prolog.sh'),
    epilog: etc('worker-epilog.sh'),
  });
  renderFile('cgroup.conf', etc('cgroup.conf'), 0o644, {
    cgroups: cgroupLines(useCgroups, parseSlurmRelease(slurm)).join('\n'),
  });
  renderEpilog(layout);
  const program = {
    results_dir: layout.results,
    root: shellQuote(layout.root),
    node: shellQuote(app.node),
    main: shellQuote(join(app.root, 'dist/main.js')),
    epilog: etc('epilog.sh'),
  };
  renderFile('worker-prolog.sh', etc('worker-prolog.sh'), 0o755, program);
  renderFile('worker-epilog.sh', etc('worker-epilog.sh'), 0o755, program);

  const typeOf = (gpu: Gpu) => `${reply.gpu_type}${gpu.index}`;
  const gres = (kind: string, gpu: Gpu, more = '') =>
    `NodeName=${reply.name} Name=${kind} Type=${typeOf(gpu)}${more} File=${gpu.device}\n`;
  const lines = [
    ...hardware.gpus.map((gpu) => gres('gpu', gpu)),
    ...hardware.gpus.map((gpu) => gres('shard', gpu, ` Count=${reply.shards_per_gpu}`)),
  ];
  replaceFile(etc('gres.conf'), 0o644, lines.join(''));
  renderFile('node.sh', layout.nodeFile, 0o644, {
    problems: shellQuote(problemsFolder(layout)),
    gpus: gpuAssignments(hardware.gpus).join('\n'),
  });
}
