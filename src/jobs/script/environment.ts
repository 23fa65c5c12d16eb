import { exportLine } from './shell-quote.js';
import type { JobAccount, ScriptParts } from './parts.js';

/** Known only on the node, see externalExports. */
const externalAccount: JobAccount = { user: '', home: '', environment: {} };

/** The job's whole environment, apart from Slurm's own variables. */
export function exports(parts: ScriptParts): string[] {
  const { jobId, experimentId, request, dataset, outputDir, scriptPath } = parts;
  const { user, home, environment } = parts.account ?? externalAccount;
  const variables: Record<string, string> = {
    // The image keeps PyTorch in a virtual environment; elsewhere the folder is not there.
    PATH: '/opt/torch/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: home,
    USER: user,
    LOGNAME: user,
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
    ...environment,
  };
  return Object.entries(variables).map(([name, value]) => exportLine(name, value));
}

/**
 * bash runs this once the command under way has ended, which got the signal, too: what winds up at SIGTERM is given the
 * time that Slurm gives it, instead of being left behind by its shell.
 */
export const windUp = "trap 'exit 143' TERM";
