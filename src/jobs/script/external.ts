import { shellQuote } from './shell-quote.js';
import type { ScriptParts } from './parts.js';

/**
 * On an external cluster's node the user and their home are the external cluster's affair, and so is `CUDA_VISIBLE_DEVICES`: it is left as it is, and `--cuda`
 * is told the same numbers. A job is told its share where it asked for one.
 */
export function externalExports({ request, external }: ScriptParts): string[] {
  const { env, gpus } = request;
  return [
    // How our own commands are run is none of the job's business.
    'unset SLURM_TIME_FORMAT',
    ...(external?.sharesByGroup ? ['umask 007'] : []),
    ...(env['HOME'] === undefined ? ['unset HOME; export HOME=~'] : []),
    'printf -v USER %s "$(/usr/bin/id -un)"; LOGNAME=$USER',
    'export JR_CUDA=${CUDA_VISIBLE_DEVICES-}',
    ...(gpus > 0 ? [`export JR_GPU_FRACTION=${Math.min(1, gpus).toFixed(6)}`] : []),
  ];
}

/** There is no epilog of ours: the script itself says that it ends, and opens what it wrote to the API. */
export function atExternalEnd({ external, outputDir }: ScriptParts): string[] {
  if (external === undefined) return [];
  const open = `  /bin/chmod -R u+rwX,g+rwX -- ${shellQuote(outputDir)} 2>/dev/null`;
  return [
    'jr_finish() {',
    '  local status=$?',
    ...(external.sharesByGroup ? [open] : []),
    `  : >${shellQuote(external.jobEndedFile)}`,
    '  exit "$status"',
    '}',
    'trap jr_finish EXIT',
  ];
}
