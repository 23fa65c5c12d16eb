import { exportLine, shellQuote } from './shell-quote.js';
import type { JobAccount, ScriptParts } from './parts.js';

/** Known only on the node, see externalExports. */
const externalAccount: JobAccount = { user: '', home: '', environment: {} };

/** What sudo, PAM and sbatch left in the environment is not the job's business. */
export const cleanSlate = [
  'for jr_name in $(compgen -e); do',
  '  case $jr_name in SLURM*|*_VISIBLE_DEVICES|GPU_DEVICE_ORDINAL|ZE_AFFINITY_MASK|TMPDIR|HOSTNAME) ;; *) unset "$jr_name" ;; esac',
  'done',
  'unset jr_name',
];

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

/** Ends the job before its command runs: says why on standard error, exit code 2. */
export const failFunction = 'jr_fail() { printf \'jobrunner: %s\\n\' "$1" >&2; exit 2; }';

/**
 * Standard error goes into a file of its own, and the log holds what the job printed and nothing else.
 * @param atEnd what the script does last of all
 */
export function stderrAlone(path: string, atEnd: string[] = []): string[] {
  const finish = ['jr_finish() {', '  local status=$?', ...atEnd, '  exit "$status"', '}'];
  const trap = atEnd.length === 0 ? [] : [...finish, 'trap jr_finish EXIT'];
  return [`exec 2>>${shellQuote(path)}`, ...trap, windUp];
}

/**
 * Standard error goes into the log, in its place among the output, and into a file of its own. The copier outlives the
 * signals that end the job and is waited for, so that the last words of a job that was killed are kept; not for long,
 * since a process the job left behind may hold the pipe open. That the copier has ended is seen by the end of a pipe that it alone
 * holds open: at once, and without starting a process. (Whole paths: the job's PATH may lead elsewhere.)
 * @param atEnd what the script does last of all
 */
export function stderrCopy(path: string, atEnd: string[] = []): string[] {
  return [
    'exec {jr_log}>&1',
    `coproc jr_copier { trap '' TERM INT HUP; exec {jr_held}>&1 1>&"$jr_log"; exec /bin/tee -a -- ${shellQuote(path)}; }`,
    // Neither `wait` nor `jobs` in the template is to know of it.
    'disown "$jr_copier_PID"',
    'exec 2>&"${jr_copier[1]}" {jr_log}>&- {jr_copier[1]}>&- {jr_done}<&"${jr_copier[0]}" {jr_copier[0]}<&-',
    'jr_finish() {',
    '  local status=$?',
    '  exec 2>&-',
    '  read -r -t 2 -u "$jr_done"',
    ...atEnd,
    '  exit "$status"',
    '}',
    'trap jr_finish EXIT',
    windUp,
  ];
}
