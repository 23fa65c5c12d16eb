import { absolutePath, share, wholeNumber } from '../kinds.js';

/** Shares of GPUs and foreign processes. */
export const gpusVariables = {
  JR_SHARDS_PER_GPU: wholeNumber(1, 1000).default(100).meta({
    description: 'Number of equal shares of each GPU; the smallest fraction is one share',
  }),
  JR_LLM_CONFIG: absolutePath.optional().meta({
    shown: '`JR_ROOT/llm_config.json`',
    description: 'File with the share of a GPU that each model needs',
  }),
  JR_GPU_MEM_THRESHOLD: share(0.8).meta({
    description:
      'Fraction of a GPU’s memory that foreign processes may use; above it no job starts there',
  }),
  JR_GPU_LOAD_THRESHOLD: share(0.8).meta({
    description:
      'Fraction of a GPU’s time that foreign processes may use; above it no job starts there',
  }),
  JR_GPU_MONITOR_INTERVAL: wholeNumber(1, 3600)
    .default(10)
    .meta({ description: 'Seconds between two checks of the GPUs with nvidia-smi' }),
  JR_GPU_IDLE_WARN: wholeNumber(0, 10_000).default(30).meta({
    description: 'Minutes until a running job gets a warning because its GPU is idle; 0 = never',
  }),
  JR_GPU_STATE_FILE: absolutePath.optional().meta({
    shown: '`JR_ROOT/gpu_scheduler_state.json`',
    description: 'File that pauses and resumes GPUs when you edit it',
  }),
  JR_GPU_STATE_INTERVAL: wholeNumber(1, 3600)
    .default(20)
    .meta({ description: 'Seconds between two checks of JR_GPU_STATE_FILE' }),
};
