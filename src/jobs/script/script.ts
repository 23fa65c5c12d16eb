import { fillPlaceholders } from '../templates/placeholders.js';
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
  return timeout === undefined ? [body] : withTimeout(timeout, body);
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
    args: argumentWords(request).join(' '),
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
