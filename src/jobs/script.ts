import type { GpuFleet } from '../gpus/choose.js';
import { fillPlaceholders } from '../templates/placeholders.js';
import type { Template } from '../templates/template.js';
import type { JobId, JobRequest } from './job.js';
import { shellQuote } from './shell-quote.js';

/** What a job's script is made of. Folders and files are absolute paths. */
export interface ScriptParts {
  jobId: JobId;
  experimentId: string;
  request: JobRequest;
  template: Template;
  dataset: { treeDir: string; originalPath: string } | undefined;
  outputDir: string;
  stderrPath: string;
  scriptPath: string | undefined;
  fleet: GpuFleet;
}

/**
 * The batch script. Every value in it is quoted for the shell, so that none can end its word: bash takes everything
 * between single quotes as it stands (bash(1), QUOTING).
 */
export function renderScript(parts: ScriptParts): string {
  return [
    '#!/bin/bash',
    `# JobRunner job ${parts.jobId}: ${parts.template.commandKey}`,
    ...cleanSlate,
    ...exports(parts),
    ...gpuExports(parts.fleet),
    ...stderrCopy(parts.stderrPath),
    '',
    renderBody(parts),
  ].join('\n');
}

/**
 * Slurm 22.05 reads the user's login environment even under `--export=NIL`; what a profile on this machine sets is not
 * the job's business.
 */
const cleanSlate = [
  'for jr_name in $(compgen -e); do',
  '  case $jr_name in SLURM*|*_VISIBLE_DEVICES|GPU_DEVICE_ORDINAL|ZE_AFFINITY_MASK|TMPDIR|HOSTNAME) ;; *) unset "$jr_name" ;; esac',
  'done',
  'unset jr_name',
];

/** The job's whole environment, apart from Slurm's own variables. */
function exports({ jobId, experimentId, request, dataset, outputDir, scriptPath }: ScriptParts) {
  const variables: Record<string, string> = {
    // The image keeps PyTorch in a virtual environment; elsewhere the folder is not there.
    PATH: '/opt/torch/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/home/runner',
    USER: 'runner',
    LOGNAME: 'runner',
    SHELL: '/bin/bash',
    LANG: 'C.UTF-8',
    // Python holds its output back when it is not a terminal; a log that follows the job is worth more.
    PYTHONUNBUFFERED: '1',
    ...request.env,
    JR_JOB_ID: String(jobId),
    JR_EXPERIMENT_ID: experimentId,
    JR_DATASET_DIR: dataset?.treeDir ?? '',
    JR_DATASET_FILE: dataset?.originalPath ?? '',
    JR_OUTPUT_DIR: outputDir,
    JR_PARAMS: JSON.stringify(request.params),
    ...(scriptPath !== undefined && { JR_SCRIPT: scriptPath }),
  };
  return Object.entries(variables).map(([name, value]) => `export ${name}=${shellQuote(value)}`);
}

/**
 * Slurm tells the GPUs' places in gres.conf. CUDA counts otherwise in a container that was given only some of a machine's
 * GPUs, but knows a UUID everywhere. A job without GPUs is to see none, even where no cgroup hides them. A job that shares
 * a GPU is told its part of it, and of its memory.
 */
function gpuExports({ gpus, shardsPerGpu }: GpuFleet): string[] {
  if (gpus.length === 0) return [];
  const uuids = gpus.filter((gpu) => gpu.uuid !== null);
  const map = uuids.map((gpu) => `[${gpu.index}]=${shellQuote(gpu.uuid ?? '')}`).join(' ');
  const memory = gpus.map((gpu) => `[${gpu.index}]=${gpu.memoryMb}`).join(' ');
  return [
    'CUDA_VISIBLE_DEVICES=',
    `declare -A jr_uuids=(${map})`,
    `declare -A jr_memory=(${memory})`,
    `jr_shards=\${SLURM_SHARDS_ON_NODE:-${shardsPerGpu}}`,
    'for jr_gpu in ${SLURM_JOB_GPUS//,/ }; do',
    '  CUDA_VISIBLE_DEVICES+=${CUDA_VISIBLE_DEVICES:+,}${jr_uuids[$jr_gpu]:-$jr_gpu}',
    `  printf -v JR_GPU_FRACTION '%d.%06d' $((jr_shards / ${shardsPerGpu})) $((jr_shards % ${shardsPerGpu} * 1000000 / ${shardsPerGpu}))`,
    // Of whole GPUs of different sizes, the smallest one's.
    `  jr_share=$((jr_memory[$jr_gpu] * jr_shards / ${shardsPerGpu}))`,
    '  ((JR_GPU_MEM_MB > 0 && JR_GPU_MEM_MB < jr_share)) || JR_GPU_MEM_MB=$jr_share',
    'done',
    'export CUDA_VISIBLE_DEVICES ${JR_GPU_FRACTION:+JR_GPU_FRACTION JR_GPU_MEM_MB}',
    'unset jr_uuids jr_memory jr_shards jr_share jr_gpu',
  ];
}

/**
 * Standard error goes into the log, in its place among the output, and into a file of its own. The copier outlives the
 * signals that end the job and is waited for, so that the last words of a job that was killed are kept; not for long,
 * since a process the job left behind may hold the pipe open.
 */
function stderrCopy(path: string): string[] {
  return [
    `exec 2> >(trap '' TERM INT HUP; exec tee -a -- ${shellQuote(path)})`,
    'jr_copier=$!',
    'jr_finish() {',
    '  local status=$? i',
    '  exec 2>&-',
    '  for ((i = 0; i < 200; i++)); do kill -0 "$jr_copier" 2>/dev/null || break; sleep 0.01; done',
    '  exit "$status"',
    '}',
    'trap jr_finish EXIT',
    // bash runs this once the command under way has ended, which got the signal, too: what winds up at SIGTERM is given the
    // time that Slurm gives it, instead of being left behind by its shell.
    "trap 'exit 143' TERM",
  ];
}

function renderBody(parts: ScriptParts): string {
  const { request, template } = parts;
  const values: Record<string, string> = {
    dataset_dir: shellQuote(parts.dataset?.treeDir ?? ''),
    dataset_file: shellQuote(parts.dataset?.originalPath ?? ''),
    output_dir: shellQuote(parts.outputDir),
    template_dir: shellQuote(template.folder),
    script: shellQuote(parts.scriptPath ?? ''),
    command: shellQuote(request.command ?? ''),
    args: request.args.map(shellQuote).join(' '),
    params: shellQuote(JSON.stringify(request.params)),
  };
  return fillPlaceholders(template.body, (name) => {
    const param = /^params\.(\w+)$/.exec(name)?.[1];
    if (param === undefined) return values[name];
    const value = request.params[param];
    return shellQuote(
      typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value),
    );
  });
}
