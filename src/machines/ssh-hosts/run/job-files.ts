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

/** A job's places on the host, absolute paths there. */
export interface HostPaths {
  datasets: string;
  /** The dataset's folder. */
  dataset: string | undefined;
  jobs: string;
  job: string;
  screen: string;
}

/**
 * @param installation tells this JobRunner's jobs from another's on the same host
 * @param restart how often Slurm has started the job anew
 */
export function placesOf(
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

/** What a job's folder on the host is called. */
export function jobFolderName(jobId: number, comment: string, restart: number): string {
  return `${jobId}-${shortComment(comment)}-${restart}`;
}

/** Names one start of a job on a host, by what Slurm knows of it: our job's number is not among that. */
export function startName(host: string, comment: string, restart: number): string {
  return `${host} ${shortComment(comment)}-${restart}`;
}

/** The {@link startName} that a {@link jobFolderName} is of; `mktemp` adds to the latter while the folder is made. */
export function startNameOfFolder(host: string, folder: string): string {
  return `${host} ${folder.slice(folder.indexOf('-') + 1).replace(/\.\w{6}$/, '')}`;
}

const shortComment = (comment: string) => comment.replace(/[^A-Za-z0-9]/g, '').slice(0, 12);

/** The job's script as the host is to run it. */
export function scriptForHost(
  spec: SshJobSpec,
  host: ResolvedHost,
  facts: HostFacts,
  places: HostPaths,
  shardsPerGpu: number,
): string {
  const { job, dataset } = places;
  return renderScript({
    jobId: spec.job_id as JobId,
    experimentId: spec.experiment_id,
    request: spec.request,
    template: { ...spec.template, folder: `${job}/template` },
    dataset:
      (dataset && { treeDir: `${dataset}/tree`, originalPath: `${dataset}/original` }) || undefined,
    outputDir: `${job}/out`,
    logDir: job,
    scriptPath: spec.script ? `${job}/script/${spec.script.name}` : undefined,
    screenDir: places.screen,
    fleet: {
      gpus: gpusOfHost(host),
      shardsPerGpu,
      gpuType: host.gpus.type,
    },
    // What processes of the job are known by that have left its session.
    account: { user: facts.user, home: facts.home, environment: { JR_REMOTE_JOB: job } },
  });
}

/**
 * Puts together what a job's folder on the host begins with.
 * @param scratch a folder of ours, where it is made
 * @returns a function that streams it as a tar, as often as wanted, and one that removes it.
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
 * A tar of files of ours.
 * @param names relative to `folder`; bytes, since they need not be UTF-8
 */
function localTar(folder: string, names: readonly string[]): Readable {
  return Readable.from(tarOf(folder, names, ['--owner=0', '--group=0']), { objectMode: false });
}

/** A tar of a dataset's files and folders, as {@link localTar}; breaks off at one that is our own. */
export function datasetTar(folder: string, names: readonly Buffer[]): Readable {
  return Readable.from(rejectOwnFiles(tarOf(folder, names, ['--no-recursion'])), {
    objectMode: false,
  });
}

/** @throws Error at the end of the tar when something is missing from it. */
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
  // tar has ended before it read all the names; its exit code says why.
  child.stdin.on('error', () => undefined);
  child.stdin.end(
    Buffer.concat(names.map((name) => Buffer.concat([Buffer.from(name), Buffer.from([0])]))),
  );
  const closed = once(child, 'close') as Promise<[number | null]>;
  closed.catch(() => undefined);
  try {
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) yield chunk;
    // The output ends before the exit code is known, and a tar that lacks a file would pass as whole.
    const [code] = await closed;
    if (code !== 0) throw new Error(`tar ended with ${code}: ${said}`);
  } finally {
    child.kill();
  }
}
