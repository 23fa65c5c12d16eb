import { NODE_NAME } from '../../config/layout.js';
import { shellQuote } from './shell-quote.js';
import { tellsCuda } from './cuda-argument.js';
import type { ScriptParts } from './parts.js';

/** Tells whether any node that the job may run on has GPUs. */
export function hasGpus({ fleet, nodeFile }: ScriptParts): boolean {
  return fleet.gpus.length > 0 || nodeFile !== undefined;
}

/** Names the job's GPUs to its programs, see libexec/job-script/gpus.sh. */
export function gpuExports(parts: ScriptParts): string[] {
  if (!hasGpus(parts)) return [];
  const { fleet, request, nodeFile } = parts;
  const { gpus, shardsPerGpu } = fleet;
  return [
    ...gpuAssignments(gpus),
    // Slurm chooses the node only when the job starts; a worker has GPUs of its own.
    ...(nodeFile === undefined
      ? []
      : [`[ "$SLURMD_NODENAME" = ${NODE_NAME} ] || . ${shellQuote(nodeFile)}`]),
    `jr_export_gpus ${shardsPerGpu}${tellsCuda(request) ? ' cuda' : ''}`,
  ];
}

type GpuFacts = Pick<
  ScriptParts['fleet']['gpus'][number],
  'index' | 'uuid' | 'memoryMb' | 'device'
>;

/** Assigns the variables that `jr_export_gpus` reads. */
export function gpuAssignments(gpus: readonly GpuFacts[]): string[] {
  const withUuid = gpus.filter((gpu) => gpu.uuid !== null);
  const uuids = withUuid.map((gpu) => `[${gpu.index}]=${shellQuote(gpu.uuid ?? '')}`);
  const memory = gpus.map((gpu) => `[${gpu.index}]=${gpu.memoryMb}`);
  const all = gpus.map((gpu) => gpu.uuid ?? String(gpu.index)).join(',');
  return [
    `jr_uuids=(${uuids.join(' ')})`,
    `jr_memory=(${memory.join(' ')})`,
    `jr_devices=(${gpus.map((gpu) => shellQuote(gpu.device)).join(' ')})`,
    `jr_all=${shellQuote(all)}`,
  ];
}
