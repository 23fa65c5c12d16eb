import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { JobId } from '../../../jobs/job.js';
import { renderScript } from '../../../jobs/script/script.js';
import { gpusOfHost } from '../../../cluster/ssh-hosts/capacity.js';
import type { ResolvedHost } from '../../../cluster/ssh-hosts/resolved-hosts.js';
import type { SshJobSpec } from '../../../jobs/ssh-job-spec.js';
import type { HostFacts } from '../ssh/facts.js';
import { copyFolder, copyUntrusted, rejectOwnFiles } from './untrusted-files.js';

/** A job's paths on the host, all absolute. */
export interface HostPaths {
  datasets: string;
  /** The dataset's folder. */
  dataset: string | undefined;
  jobs: string;
  job: string;
  screen: string;
}

/**
 * Computes a job's paths on the host.
 * @param installation distinguishes this JobRunner's jobs from another's on the same host
 * @param restart number of times that Slurm has restarted the job
 */
export function pathsOnHost(
  spec: SshJobSpec,
  { workdir }: HostFacts,
  installation: string,
  restart: number,
): HostPaths {
  const datasets = `${workdir}/datasets`;
  const jobs = `${workdir}/jobs/${installation}`;
  return {
    datasets,
    dataset: spec.dataset ? `${datasets}/${spec.dataset.sha256}` : undefined,
    jobs,
    job: `${jobs}/${jobFolderName(spec.job_id, spec.comment, restart)}`,
    screen: `${workdir}/screen`,
  };
}

/** Returns the name of a job's folder on the host. */
export function jobFolderName(jobId: number, comment: string, restart: number): string {
  return `${jobId}-${shortComment(comment)}-${restart}`;
}

/**
 * Names one start of a job on a host by data that Slurm has; Slurm does not have our job number.
 */
export function startName(host: string, comment: string, restart: number): string {
  return `${host} ${shortComment(comment)}-${restart}`;
}

/**
 * Returns the {@link startName} of a {@link jobFolderName}, to which `mktemp` adds characters while
 * the folder is made.
 */
export function startNameOfFolder(host: string, folder: string): string {
  return `${host} ${folder.slice(folder.indexOf('-') + 1).replace(/\.\w{6}$/, '')}`;
}

const shortComment = (comment: string) => comment.replace(/[^A-Za-z0-9]/g, '').slice(0, 12);

/** Renders the job's script for the host. */
export function scriptForHost(
  spec: SshJobSpec,
  host: ResolvedHost,
  facts: HostFacts,
  paths: HostPaths,
  shardsPerGpu: number,
): string {
  const { job, dataset } = paths;
  return renderScript({
    jobId: spec.job_id as JobId,
    experimentId: spec.experiment_id,
    request: spec.request,
    commonEnv: spec.common_env ?? {},
    template: { ...spec.template, folder: `${job}/template` },
    dataset:
      (dataset && { treeDir: `${dataset}/tree`, originalPath: `${dataset}/original` }) || undefined,
    outputDir: `${job}/out`,
    logDir: job,
    scriptPath: spec.script ? `${job}/script/${spec.script.name}` : undefined,
    screenDir: paths.screen,
    fleet: {
      gpus: gpusOfHost(host),
      shardsPerGpu,
      gpuType: host.gpus.type,
    },
    // Identifies the job's processes that have left its session.
    account: { user: facts.user, home: facts.home, environment: { JR_REMOTE_JOB: job } },
  });
}

/**
 * Packs the initial content of a job's folder on the host.
 * @param scratch a folder of ours for the copies
 * @returns a function that streams it as a tar, as often as needed, and one that removes it
 */
export async function packJob(
  spec: SshJobSpec,
  script: string,
  scratch: string,
): Promise<{ tar: () => Readable; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(scratch, 'job-'));
  await writeFile(join(folder, 'job.sh'), script);
  await copyFolder(spec.template.folder, join(folder, 'template'));
  if (spec.script) {
    await mkdir(join(folder, 'script'));
    await copyUntrusted(spec.script.path, join(folder, 'script', spec.script.name));
  }
  return {
    tar: () => localTar(folder, ['.']),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/**
 * Makes a tar of our own files.
 * @param names relative to `folder`; bytes, since they need not be UTF-8
 */
function localTar(folder: string, names: readonly string[]): Readable {
  return Readable.from(tarOf(folder, names, ['--owner=0', '--group=0']), { objectMode: false });
}

/**
 * Makes a tar of a dataset's files and folders, as {@link localTar}; fails at a file of our own
 * user.
 */
export function datasetTar(folder: string, names: readonly Buffer[]): Readable {
  return Readable.from(rejectOwnFiles(tarOf(folder, names, ['--no-recursion'])), {
    objectMode: false,
  });
}

/** Streams a tar. @throws Error at its end when a file is missing from it */
async function* tarOf(
  folder: string,
  names: readonly (string | Buffer)[],
  options: readonly string[],
): AsyncGenerator<Buffer, void, undefined> {
  const child = spawn(
    'tar',
    ['--create', '--file=-', '--numeric-owner', ...options, '--null', '--files-from=-'],
    { cwd: folder, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' }, stdio: ['pipe', 'pipe', 'pipe'] },
  );
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  // tar ended before it read all names; its exit code gives the reason.
  child.stdin.on('error', () => undefined);
  child.stdin.end(
    Buffer.concat(names.map((name) => Buffer.concat([Buffer.from(name), Buffer.from([0])]))),
  );
  const closed = once(child, 'close') as Promise<[number | null]>;
  // Awaited below, unless the reader stops early. A rejection must not end the process then.
  closed.catch(() => undefined);
  try {
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) yield chunk;
    // The output ends before the exit code is known, and a tar that lacks a file would pass as
    // whole.
    const [code] = await closed;
    if (code !== 0) throw new Error(`tar ended with ${code}: ${said}`);
  } finally {
    child.kill();
  }
}
