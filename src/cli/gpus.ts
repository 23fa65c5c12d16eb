import {
  gpuReplySchema,
  gpusReplySchema,
  workerGpuReplySchema,
  type GpuView,
} from '../cluster/gpus/replies.js';
import type { Api } from './api.js';
import { plain, say, table } from './terminal.js';

/** The common fields only: the external cluster's replies differ in the others. */
export const gpuListSchema = gpusReplySchema.pick({ gpus: true });
/** The common fields only: replies about a worker's GPU have fewer. */
const pausedSchema = workerGpuReplySchema.pick({ jobs: true });
const resumedSchema = gpuReplySchema.pick({ closed: true }).partial();

export async function listGpus(api: Api, { json }: { json?: boolean }): Promise<void> {
  const reply = await api.get('/gpus', gpuListSchema);
  say(json ? JSON.stringify(reply, null, 2) : gpuTable(reply.gpus));
}

/** Pauses a GPU. @param node of the GPU; undefined for this machine */
export async function pauseGpu(
  api: Api,
  index: number,
  { reason, node }: { reason?: string; node?: string },
): Promise<void> {
  const body = reason === undefined ? {} : { reason };
  const { jobs } = await api.post(`${pathOf(index, node)}/pause`, body, pausedSchema);
  const running = jobs.map((job) => job.job_id).join(', ');
  const rest = running === '' ? 'none runs there' : `running jobs continue: ${running}`;
  say(`GPU ${index}${on(node)} is paused: no job starts there; ${rest}`);
}

export async function resumeGpu(api: Api, index: number, node?: string): Promise<void> {
  const { closed } = await api.post(`${pathOf(index, node)}/resume`, {}, resumedSchema);
  say(
    closed
      ? `GPU ${index} is resumed, but still closed: ${plain(closed.reason)}`
      : `GPU ${index}${on(node)} takes jobs again`,
  );
}

const on = (node: string | undefined) => (node === undefined ? '' : ` of ${node}`);

const pathOf = (index: number, node: string | undefined) =>
  node === undefined ? `/gpus/${index}` : `/nodes/${encodeURIComponent(node)}/gpus/${index}`;

/** Lays out one line for each GPU. */
export function gpuTable(gpus: readonly GpuView[]): string {
  if (gpus.length === 0) return 'no GPUs';
  const head = ['GPU', 'MODEL', 'MEMORY', 'LOAD', 'TEMP', 'STATE', 'JOBS'];
  return table([head, ...gpus.map(row)]);
}

function row(gpu: GpuView): string[] {
  const jobs = gpu.jobs.map((job) => `${job.job_id}${part(job.share)} ${job.name ?? ''}`);
  const waiting = gpu.waiting.length;
  if (waiting > 0) jobs.push(`(${waiting} waiting)`);
  return [
    String(gpu.index),
    gpu.model,
    memory(gpu),
    gpu.load === null ? '-' : `${gpu.load} %`,
    gpu.temperature === null ? '-' : `${gpu.temperature} °C`,
    stateOf(gpu),
    jobs.map((job) => job.trim()).join(', ') || '-',
  ];
}

function stateOf(gpu: GpuView): string {
  const { paused, closed } = gpu;
  if (paused) return `paused by ${paused.by}: ${paused.reason}`;
  if (closed) return `closed: ${closed.reason}`;
  return gpu.state.replaceAll('_', ' ');
}

function memory({ memory_mb: all, memory_used_mb: used }: GpuView): string {
  const gib = (mb: number) => (mb / 1024).toFixed(1);
  return used === null ? `${gib(all)} GiB` : `${gib(used)}/${gib(all)} GiB`;
}

function part(share: number): string {
  return share === 1 ? '' : ` (${share})`;
}
