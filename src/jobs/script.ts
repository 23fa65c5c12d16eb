import { fillPlaceholders } from '../templates/placeholders.js';
import { activation } from './script/activate.js';
import { argumentWords } from './script/cuda-argument.js';
import { cleanSlate, exports, stderrCopy } from './script/environment.js';
import { gpuExports } from './script/gpus.js';
import type { ScriptParts } from './script/parts.js';
import { inScreen } from './script/screen.js';
import { shellQuote } from './shell-quote.js';

export type { ScriptParts } from './script/parts.js';

/**
 * The batch script. Every value in it is quoted for the shell, so that none can end its word: bash takes everything
 * between single quotes as it stands (bash(1), QUOTING).
 */
export function renderScript(parts: ScriptParts): string {
  const body = renderBody(parts);
  return [
    '#!/bin/bash',
    `# JobRunner job ${parts.jobId}: ${parts.template.commandKey}`,
    ...cleanSlate,
    ...exports(parts),
    ...gpuExports(parts),
    ...stderrCopy(parts.stderrPath),
    ...activation(parts.request),
    '',
    ...(parts.request.screen ? inScreen(parts, body) : [body]),
  ].join('\n');
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
