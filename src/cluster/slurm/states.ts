/** Slurm's job states (squeue(1), JOB STATE CODES) in which a job may still change. */
const liveStates = [
  'PENDING',
  'CONFIGURING',
  'RUNNING',
  'SUSPENDED',
  'COMPLETING',
  'STAGE_OUT',
  'SIGNALING',
  'STOPPED',
  'RESIZING',
  'REQUEUED',
  'REQUEUE_FED',
  'REQUEUE_HOLD',
  'SPECIAL_EXIT',
  'RESV_DEL_HOLD',
  // Since 25.11.
  'EXPEDITING',
] as const;

const terminalStates = [
  'COMPLETED',
  'FAILED',
  'CANCELLED',
  'TIMEOUT',
  'OUT_OF_MEMORY',
  'NODE_FAIL',
  'BOOT_FAIL',
  'DEADLINE',
  'PREEMPTED',
  'REVOKED',
  'LAUNCH_FAILED',
  'RECONFIG_FAIL',
] as const;

export const slurmStates = [...liveStates, ...terminalStates] as const;
export type SlurmState = (typeof slurmStates)[number];

const known: ReadonlySet<string> = new Set(slurmStates);
const terminal: ReadonlySet<string> = new Set(terminalStates);

/** Reads a job state. @throws Error on an unknown word */
export function parseState(word: string): SlurmState {
  // sacct appends the user who cancelled: "CANCELLED by 995".
  const state = word.trim().split(' ')[0] ?? '';
  if (!known.has(state)) throw new Error(`Slurm printed an unknown job state: ${word}`);
  return state as SlurmState;
}

export function isTerminal(state: string): boolean {
  return terminal.has(state);
}
