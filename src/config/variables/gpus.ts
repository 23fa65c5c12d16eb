import { absolutePath, share, wholeNumber } from '../kinds.js';

/** Shares of GPUs and the watch on them. */
export const gpusVariables = {
  JR_SHARDS_PER_GPU: wholeNumber(1, 1000)
    .default(100)
    .meta({ description: 'Equal shares a GPU is cut into; the smallest fraction is one share' }),
  JR_LLM_CONFIG: absolutePath.optional().meta({
    shown: '`JR_ROOT/llm_config.json`',
    description: 'File that says how much of a GPU each model needs',
  }),
  JR_GPU_MEM_THRESHOLD: share(0.8).meta({
    description: 'Fraction of a GPU’s memory that strangers may hold before no job starts there',
  }),
  JR_GPU_LOAD_THRESHOLD: share(0.8).meta({
    description: 'Fraction of a GPU’s time that strangers may use before no job starts there',
  }),
  JR_GPU_MONITOR_INTERVAL: wholeNumber(1, 3600)
    .default(10)
    .meta({ description: 'Seconds between two looks at the GPUs with nvidia-smi' }),
  JR_GPU_IDLE_WARN: wholeNumber(0, 10_000).default(30).meta({
    description: 'Minutes after which a running job whose GPU does nothing is flagged; 0 = never',
  }),
  JR_GPU_STATE_FILE: absolutePath.optional().meta({
    shown: '`JR_ROOT/gpu_scheduler_state.json`',
    description: 'File in which GPUs can be paused and resumed by editing it',
  }),
  JR_GPU_STATE_INTERVAL: wholeNumber(1, 3600)
    .default(20)
    .meta({ description: 'Seconds between two looks at that file' }),
};
