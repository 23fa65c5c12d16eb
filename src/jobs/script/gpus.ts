import { NODE_NAME } from '../../config/layout.js';
import { shellQuote } from './shell-quote.js';
import { tellsCuda } from './cuda-argument.js';
import type { ScriptParts } from './parts.js';

/**
 * Slurm tells the GPUs' places in gres.conf. CUDA counts otherwise in a container that was given only some of a machine's
 * GPUs, but knows a UUID everywhere. A job without GPUs is to see none, even where no cgroup hides them. A job that shares
 * a GPU is told its part of it, and of its memory.
 */
export function gpuExports({ fleet, request, nodeFile }: ScriptParts): string[] {
  const { gpus, shardsPerGpu } = fleet;
  if (gpus.length === 0 && nodeFile === undefined) return [];
  const uuids = gpus.filter((gpu) => gpu.uuid !== null);
  const map = uuids.map((gpu) => `[${gpu.index}]=${shellQuote(gpu.uuid ?? '')}`).join(' ');
  const memory = gpus.map((gpu) => `[${gpu.index}]=${gpu.memoryMb}`).join(' ');
  return [
    'CUDA_VISIBLE_DEVICES=',
    `declare -A jr_uuids=(${map})`,
    `declare -A jr_memory=(${memory})`,
    ...(nodeFile === undefined ? [] : onWorker(gpus, nodeFile)),
    // Of all its GPUs together: several are always whole.
    `jr_shards=\${SLURM_SHARDS_ON_NODE:-${shardsPerGpu}}; ((jr_shards < ${shardsPerGpu})) || jr_shards=${shardsPerGpu}`,
    'for jr_gpu in ${SLURM_JOB_GPUS//,/ }; do',
    '  CUDA_VISIBLE_DEVICES+=${CUDA_VISIBLE_DEVICES:+,}${jr_uuids[$jr_gpu]:-$jr_gpu}',
    `  printf -v JR_GPU_FRACTION '%d.%06d' $((jr_shards / ${shardsPerGpu})) $((jr_shards % ${shardsPerGpu} * 1000000 / ${shardsPerGpu}))`,
    // Of whole GPUs of different sizes, the smallest one's.
    `  jr_share=$((jr_memory[$jr_gpu] * jr_shards / ${shardsPerGpu}))`,
    '  ((JR_GPU_MEM_MB > 0 && JR_GPU_MEM_MB < jr_share)) || JR_GPU_MEM_MB=$jr_share',
    'done',
    ...(tellsCuda(request) ? cudaNumbers(gpus, nodeFile !== undefined) : []),
    'export CUDA_VISIBLE_DEVICES ${JR_GPU_FRACTION:+JR_GPU_FRACTION JR_GPU_MEM_MB}',
    `unset jr_uuids jr_memory jr_shards jr_share jr_gpu${nodeFile === undefined ? '' : ' jr_devices jr_all'}`,
  ];
}

type Gpus = ScriptParts['fleet']['gpus'];

const allOf = (gpus: Gpus) => gpus.map((gpu) => gpu.uuid ?? String(gpu.index)).join(',');
const devicesOf = (gpus: Gpus) => gpus.map((gpu) => shellQuote(gpu.device)).join(' ');

/** Which node Slurm takes is known only when the job runs; a worker has GPUs of its own. */
function onWorker(gpus: Gpus, nodeFile: string): string[] {
  return [
    `jr_devices=(${devicesOf(gpus)})`,
    `jr_all=${shellQuote(allOf(gpus))}`,
    `[ "$SLURMD_NODENAME" = ${NODE_NAME} ] || . ${shellQuote(nodeFile)}`,
  ];
}

/**
 * `JR_CUDA`, which stands for the value of `--cuda`: the GPUs' indices, with all GPUs visible in that order, so that
 * `cuda:3` and `CUDA_VISIBLE_DEVICES=3` both mean GPU 3. Where a cgroup closes the other GPUs (open(2) fails with EPERM),
 * CUDA counts the job's own from 0, whatever is visible. See docs/decisions/cuda-argument.md.
 */
function cudaNumbers(gpus: Gpus, mayBeOnWorker: boolean): string[] {
  const all = mayBeOnWorker ? '$jr_all' : shellQuote(allOf(gpus));
  const devices = mayBeOnWorker ? '"${jr_devices[@]}"' : devicesOf(gpus);
  return [
    'jr_closed=no',
    `for jr_device in ${devices}; do`,
    '  case $(LC_ALL=C; { true <"$jr_device"; } 2>&1) in *"not permitted"*) jr_closed=yes ;; esac',
    'done',
    'if [ "$jr_closed" = yes ]; then',
    '  JR_CUDA=0',
    '  jr_others=${SLURM_JOB_GPUS//[!,]/}',
    '  for ((jr_gpu = 1; jr_gpu <= ${#jr_others}; jr_gpu++)); do JR_CUDA+=,$jr_gpu; done',
    'else',
    '  JR_CUDA=$SLURM_JOB_GPUS',
    `  CUDA_VISIBLE_DEVICES=${all}`,
    'fi',
    // As nvidia-smi counts, and not the fastest first.
    'export JR_CUDA CUDA_DEVICE_ORDER=PCI_BUS_ID',
    'unset jr_closed jr_device jr_others',
  ];
}
