import { shellQuote } from './shell-quote.js';
import type { ScriptParts } from './parts.js';

/**
 * Takes the user, their home and the GPUs as the node has them, see libexec/job-script/external.sh.
 */
export function externalExports({ request, commonEnv, external }: ScriptParts): string[] {
  const { env, gpus } = request;
  return [
    ...(external?.sharesByGroup ? ['umask 007'] : []),
    ...({ ...commonEnv, ...env }['HOME'] === undefined ? ['jr_export_home'] : []),
    'jr_export_node',
    ...(gpus > 0 ? [`export JR_GPU_FRACTION=${Math.min(1, gpus).toFixed(6)}`] : []),
  ];
}

/** Makes the script report its end to the API, and open its outputs to the API. */
export function tellEnd({ external, outputDir }: ScriptParts): string[] {
  if (external === undefined) return [];
  const opened = external.sharesByGroup ? outputDir : '';
  return [`jr_tell_end ${shellQuote(external.jobEndedFile)} ${shellQuote(opened)}`];
}
