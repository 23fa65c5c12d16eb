import { setTimeout } from 'node:timers/promises';
import { isTerminal } from '../cluster/slurm/states.js';
import { jobReplySchema, type JobReply } from '../jobs/job-view.js';
import { jobsReplySchema } from '../jobs/replies.js';
import type { Api } from './api.js';
import { gpuListSchema, gpuTable } from './gpus.js';
import { note, plain, say, table, TerminalLog } from './terminal.js';

/** States of jobs that run, or still hold resources. */
const runningStates = ['COMPLETING', 'RUNNING', 'CONFIGURING', 'SUSPENDED'];
const waitingStates = ['PENDING', 'SUBMITTING', 'REQUEUED', 'REQUEUE_HOLD'];
/** Most jobs that the API lists at once. */
const maxListed = 1000;
const shownWaiting = 20;
const followMs = 500;
const logChunk = 1024 ** 2;

/** Shows the GPUs and the queue. */
export async function showStatus(api: Api, { json }: { json?: boolean }): Promise<void> {
  const { gpus, ...more } = await api.get('/gpus', gpuListSchema);
  const jobs: JobReply[] = [];
  for (const state of [...runningStates, ...waitingStates]) {
    jobs.push(...(await allIn(api, state)).reverse());
  }
  if (json) {
    say(JSON.stringify({ gpus, ...more, jobs }, null, 2));
    return;
  }
  say(gpuTable(gpus));
  const running = jobs.filter((job) => !isWaiting(job));
  // In the order of their start: lower numbers first; of equal ones, the older first.
  const waiting = jobs
    .filter(isWaiting)
    .sort((a, b) => a.priority - b.priority || a.job_id - b.job_id);
  say(`\n${running.length} running, ${waiting.length} waiting`);
  if (jobs.length > 0) say(jobTable([...running, ...waiting.slice(0, shownWaiting)]));
  if (waiting.length > shownWaiting) say(`… and ${waiting.length - shownWaiting} more waiting`);
}

/** Lists all jobs in a state, newest first. */
async function allIn(api: Api, state: string): Promise<JobReply[]> {
  const found: JobReply[] = [];
  for (let before = ''; ;) {
    const path = `/jobs?state=${state}&limit=${maxListed}${before}`;
    const { jobs } = await api.get(path, jobsReplySchema);
    found.push(...jobs);
    const last = jobs.at(-1);
    if (last === undefined || jobs.length < maxListed) return found;
    before = `&before=${last.job_id}`;
  }
}

export async function listJobs(
  api: Api,
  { json, state, limit }: { json?: boolean; state?: string; limit: number },
): Promise<void> {
  const filter = state === undefined ? '' : `&state=${encodeURIComponent(state)}`;
  const reply = await api.get(`/jobs?limit=${limit}${filter}`, jobsReplySchema);
  if (json) say(JSON.stringify(reply, null, 2));
  else say(reply.jobs.length === 0 ? 'no jobs' : jobTable(reply.jobs));
}

export async function cancelJob(api: Api, id: number): Promise<void> {
  const job = await api.post(`/jobs/${id}/cancel`, {}, jobReplySchema);
  say(`job ${id} is ${plain(job.status)}`);
}

/**
 * Copies a job's log from the chosen start to its end: to a terminal without anything that could
 * control it but colours, to anything else byte for byte.
 * @returns whether the job, if followed to its end, completed
 */
export async function showLog(
  api: Api,
  id: number,
  { follow, stderr, tail }: { follow?: boolean; stderr?: boolean; tail?: number },
): Promise<boolean> {
  const path = `/jobs/${id}/log?stream=${stderr ? 'stderr' : 'stdout'}`;
  const terminal = process.stdout.isTTY ? new TerminalLog() : undefined;
  const write = (bytes: Buffer) => send(terminal?.write(bytes) ?? bytes);
  try {
    await copyLog(api, id, path, { follow, tail }, write);
  } finally {
    await send(terminal?.end() ?? '');
  }
  if (!follow) return true;
  const { status, message } = await api.get(`/jobs/${id}`, jobReplySchema);
  if (status === 'COMPLETED') return true;
  note(plain(`job ${id} is ${status}${message === null ? '' : `: ${message}`}`));
  return false;
}

async function copyLog(
  api: Api,
  id: number,
  path: string,
  { follow, tail }: { follow: boolean | undefined; tail: number | undefined },
  write: (bytes: Buffer) => Promise<void>,
): Promise<void> {
  let offset = 0;
  if (tail !== undefined) {
    const last = await api.log(`${path}&tail=${tail}`);
    await write(last.bytes);
    offset = last.next;
    if (!follow) return;
  }
  for (;;) {
    // Ask for the state before reading: output from before the job's end is then not missed.
    const { status } = await api.get(`/jobs/${id}`, jobReplySchema);
    for (;;) {
      const { bytes, next } = await api.log(`${path}&offset=${offset}&limit=${logChunk}`);
      if (bytes.length === 0) break;
      await write(bytes);
      offset = next;
    }
    if (!follow || isTerminal(status) || status === 'REJECTED') return;
    await setTimeout(followMs);
  }
}

/** Writes, and waits for a slow reader such as a pipe. */
async function send(bytes: Buffer | string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

function isWaiting(job: JobReply): boolean {
  return waitingStates.includes(job.status);
}

function jobTable(jobs: readonly JobReply[]): string {
  const head = ['JOB', 'STATE', 'PRIORITY', 'GPUS', 'ON', 'NAME', 'WHY'];
  const rows = jobs.map((job) => [
    String(job.job_id),
    job.status,
    String(job.priority),
    job.gpu_mem_gb === null ? String(job.gpus) : `${job.gpu_mem_gb} GiB`,
    job.gpu_indices?.join(',') || '-',
    job.name,
    job.warning ?? job.reason_text ?? job.message ?? job.failure ?? '',
  ]);
  return table([head, ...rows]);
}
