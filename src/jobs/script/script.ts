import { fillPlaceholders, paramIn, type PlaceholderName } from '../templates/placeholders.js';
import { activation } from './activate.js';
import { argumentWords } from './cuda-argument.js';
import { exports, windUp } from './environment.js';
import { functionsFor } from './functions.js';
import { gpuExports } from './gpus.js';
import type { ScriptParts } from './parts.js';
import { externalExports, tellEnd } from './external.js';
import { inScreen } from './screen.js';
import { withTimeout } from './timeout.js';
import { shellQuote } from './shell-quote.js';

export type { ScriptParts } from './parts.js';

/**
 * Renders the batch script: functions of libexec/job-script/, then assignments and calls. Every
 * value is quoted for the shell, so that none can end its word: bash takes everything between
 * single quotes literally (bash(1), QUOTING).
 */
export function renderScript(parts: ScriptParts): string {
  const body = renderBody(parts);
  return [
    '#!/bin/bash',
    `# JobRunner job ${parts.jobId}: ${parts.template.commandKey}`,
    ...functionsFor(parts),
    '',
    'jr_clear_environment',
    ...exports(parts),
    ...(parts.external ? externalExports(parts) : gpuExports(parts)),
    ...tellEnd(parts),
    windUp,
    ...activation(parts.request),
    '',
    ...run(parts, body),
  ].join('\n');
}

/** A job has a screen session or a timeout, never both. */
function run(parts: ScriptParts, body: string): string[] {
  const { screen, timeout } = parts.request;
  if (screen) return [inScreen(parts, body)];
  if (timeout !== undefined) return withTimeout(timeout, body);
  return parts.external === undefined ? [body] : inSubshell(body);
}

/**
 * Runs `body` apart from the shell that tells the API of the job's end. There, the template's
 * `exec`, `set -e` or EXIT trap would keep that from happening.
 */
function inSubshell(body: string): string[] {
  // The empty line ends a body whose last line ends with a backslash.
  return ['(', windUp, body, '', ')'];
}

function renderBody(parts: ScriptParts): string {
  const { request, template } = parts;
  const values: Record<PlaceholderName, string> = {
    dataset_dir: shellQuote(parts.dataset?.treeDir ?? ''),
    dataset_file: shellQuote(parts.dataset?.originalPath ?? ''),
    output_dir: shellQuote(parts.outputDir),
    template_dir: shellQuote(template.folder),
    script: shellQuote(parts.scriptPath ?? ''),
    command: shellQuote(request.command ?? ''),
    args: argumentWords(request).join(' '),
    params: shellQuote(JSON.stringify(request.params)),
  };
  const valueOf = new Map(Object.entries(values));
  return fillPlaceholders(template.body, (name) => {
    const param = paramIn(name);
    if (param === undefined) return valueOf.get(name);
    const value = Object.hasOwn(request.params, param) ? request.params[param] : undefined;
    return shellQuote(
      typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value),
    );
  });
}
