import { exportLine } from './shell-quote.js';
import type { JobAccount, ScriptParts } from './parts.js';

/** Stands in where only the node knows the user, see `externalExports`. */
const externalAccount: JobAccount = { user: '', home: '', environment: {} };

/** Sets the job's whole environment, apart from Slurm's own variables. */
export function exports(parts: ScriptParts): string[] {
  const { jobId, experimentId, request, commonEnv, dataset, outputDir, scriptPath } = parts;
  const { user, home, environment } = parts.account ?? externalAccount;
  const variables: Record<string, string> = {
    // The image keeps PyTorch in a virtual environment; elsewhere this folder does not exist.
    PATH: '/opt/torch/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: home,
    USER: user,
    LOGNAME: user,
    SHELL: '/bin/bash',
    LANG: 'C.UTF-8',
    // Without this, Python buffers its output, and the log lags behind the job.
    PYTHONUNBUFFERED: '1',
    ...commonEnv,
    ...request.env,
    JR_JOB_ID: String(jobId),
    JR_EXPERIMENT_ID: experimentId,
    JR_DATASET_DIR: dataset?.treeDir ?? '',
    JR_DATASET_FILE: dataset?.originalPath ?? '',
    JR_OUTPUT_DIR: outputDir,
    JR_PARAMS: JSON.stringify(request.params),
    ...(scriptPath !== undefined && { JR_SCRIPT: scriptPath }),
    ...environment,
  };
  return Object.entries(variables).map(([name, value]) => exportLine(name, value));
}

/**
 * Makes bash end at SIGTERM only after its current command. That command got the signal, too, and
 * may use all the time that Slurm grants for finishing.
 */
export const windUp = "trap 'exit 143' TERM";
