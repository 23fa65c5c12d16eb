import type { z } from 'zod';
import { externalGpusReplySchema } from '../cluster/external/replies.js';
import {
  gpuReplySchema,
  gpusReplySchema,
  workerGpuReplySchema,
  type GpuView,
  type WorkerGpusView,
} from '../cluster/gpus/replies.js';
import { NODE_NAME } from '../config/layout.js';
import type { Api } from './api.js';
import { plain, say, table } from './terminal.js';

/** The fields of our own cluster's reply, and those of an external one's. */
export const gpuListSchema = gpusReplySchema.pick({ gpus: true, workers: true }).extend({
  nodes: externalGpusReplySchema.shape.nodes.optional(),
});
type GpuList = z.infer<typeof gpuListSchema>;
/** The common fields only: replies about a worker's GPU have fewer. */
const pausedSchema = workerGpuReplySchema.pick({ jobs: true });
const resumedSchema = gpuReplySchema.pick({ closed: true }).partial();

export async function listGpus(api: Api, { json }: { json?: boolean }): Promise<void> {
  const reply = await api.get('/gpus', gpuListSchema);
  say(json ? JSON.stringify(reply, null, 2) : gpuTable(reply));
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

const head = ['NODE', 'GPU', 'MODEL', 'MEMORY', 'LOAD', 'TEMP', 'STATE', 'JOBS'];

/**
 * Lays out one line for each GPU, by node.
 * @param more lines of nodes whose GPUs are not shown one by one
 */
export function gpuTable(
  { gpus, workers = [], nodes = [] }: GpuList,
  more: readonly (readonly string[])[] = [],
): string {
  const rows = [
    ...gpus.map(rowOfGpu),
    ...workers.flatMap((worker) => worker.gpus.map((gpu) => rowOfWorkerGpu(worker.node, gpu))),
    ...more,
    ...nodes.flatMap(rowsOfExternal),
  ];
  return rows.length === 0 ? 'no GPUs' : table([head, ...rows]);
}

function rowOfGpu(gpu: GpuView): string[] {
  const waiting = gpu.waiting.length;
  return [
    NODE_NAME,
    String(gpu.index),
    gpu.model,
    memory(gpu),
    gpu.load === null ? '-' : `${gpu.load} %`,
    gpu.temperature === null ? '-' : `${gpu.temperature} °C`,
    stateOf(gpu),
    jobList(gpu.jobs, waiting > 0 ? [`(${waiting} waiting)`] : []),
  ];
}

function rowOfWorkerGpu(node: string, gpu: WorkerGpusView['gpus'][number]): string[] {
  const size = memory({ ...gpu, memory_used_mb: null });
  const state = stateOf({ ...gpu, closed: null });
  return [node, String(gpu.index), gpu.model, size, '-', '-', state, jobList(gpu.jobs)];
}

/** Shows the GPUs of an external node by type: only the node knows which GPUs a job has. */
function rowsOfExternal({ node, state, types }: NonNullable<GpuList['nodes']>[number]): string[][] {
  return types.map(({ type, count, used }) => [
    ...[node, `${count} GPUs`, type ?? '-', '-', '-', '-'],
    ...[state, used === 0 ? '-' : `${used} of ${count} in use`],
  ]);
}

/** Lists jobs on a GPU or a node in one line, by number and by name where the caller may see it. */
export function jobList(
  jobs: readonly { job_id: number; share: number; name: string | null }[],
  more: readonly string[] = [],
): string {
  const shown = jobs.map((job) => `${job.job_id}${part(job.share)} ${job.name ?? ''}`.trim());
  return [...shown, ...more].join(', ') || '-';
}

function stateOf({ paused, closed, state }: Pick<GpuView, 'paused' | 'closed' | 'state'>): string {
  if (paused) return `paused by ${paused.by}: ${paused.reason}`;
  if (closed) return `closed: ${closed.reason}`;
  return state.replaceAll('_', ' ');
}

function memory({
  memory_mb: all,
  memory_used_mb: used,
}: Pick<GpuView, 'memory_mb' | 'memory_used_mb'>): string {
  const gib = (mb: number) => (mb / 1024).toFixed(1);
  return used === null ? `${gib(all)} GiB` : `${gib(used)}/${gib(all)} GiB`;
}

function part(share: number): string {
  return share === 1 ? '' : ` (${share})`;
}
