import { setTimeout } from 'node:timers/promises';
import { isTerminal } from '../cluster/slurm/states.js';
import { jobReplySchema, type JobReply } from '../jobs/job-view.js';
import { jobsReplySchema } from '../jobs/replies.js';
import type { Api } from './api.js';
import { note, plain, say, table, TerminalLog } from './terminal.js';

const followMs = 500;
const logChunk = 1024 ** 2;

export interface ListOptions {
  limit: number;
  state?: string;
  user?: string;
  before?: number;
}

export async function listJobs(
  api: Api,
  { json, limit, state, user, before }: ListOptions & { json?: boolean },
): Promise<void> {
  const query = new URLSearchParams({ limit: String(limit) });
  for (const [name, value] of Object.entries({ state, user, before }))
    if (value !== undefined) query.set(name, String(value));
  const reply = await api.get(`/jobs?${query.toString()}`, jobsReplySchema);
  if (json) {
    say(JSON.stringify(reply, null, 2));
    return;
  }
  say(reply.jobs.length === 0 ? 'no jobs' : jobTable(reply.jobs));
  if (reply.next_before !== null) note(`there are more: add --before ${reply.next_before}`);
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

const head = ['JOB', 'STATE', 'PRIORITY', 'GPUS', 'ON', 'SUBMITTED (UTC)', 'RAN', 'USER'];

/** Lays out one line for each job. */
export function jobTable(jobs: readonly JobReply[]): string {
  const rows = jobs.map((job) => [
    String(job.job_id),
    job.status,
    String(job.priority),
    job.gpu_mem_gb === null ? String(job.gpus) : `${job.gpu_mem_gb} GiB`,
    placeOf(job),
    job.submitted_at.slice(0, 16).replace('T', ' '),
    timeOf(job),
    job.user,
    job.experiment_id,
    job.name,
    job.warning ?? job.reason_text ?? job.message ?? job.failure ?? '',
  ]);
  return table([[...head, 'EXPERIMENT', 'NAME', 'WHY'], ...rows]);
}

/** Names the job's node, and its GPUs there. */
function placeOf({ node, gpu_indices: gpus }: JobReply): string {
  if (node === null) return gpus?.join(',') || '-';
  return gpus === null || gpus.length === 0 ? node : `${node}:${gpus.join(',')}`;
}

/** Says how long the job has run; it may run still. */
function timeOf({ started_at: start, ended_at: end }: JobReply): string {
  if (start === null) return '-';
  const ms = (end === null ? Date.now() : Date.parse(end)) - Date.parse(start);
  return duration(Math.max(0, Math.round(ms / 1000)));
}

/** Writes seconds in the two largest units, such as `1d 02h` or `3m 07s`. */
export function duration(seconds: number): string {
  const two = (n: number) => String(Math.floor(n)).padStart(2, '0');
  const [minutes, hours, days] = [seconds / 60, seconds / 3600, seconds / 86_400].map(Math.floor);
  if (days) return `${days}d ${two((seconds / 3600) % 24)}h`;
  if (hours) return `${hours}h ${two((seconds / 60) % 60)}m`;
  return minutes ? `${minutes}m ${two(seconds % 60)}s` : `${seconds}s`;
}
