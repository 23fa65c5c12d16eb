import { fieldError } from '../errors.js';
import { modelInArguments, type ModelNeeds } from '../cluster/gpus/models.js';
import { checkParams } from './templates/params.js';
import type { Template } from './templates/template.js';
import type { JobRequest } from './job.js';
import { defaultTimeLimit, defaultMemoryGb } from './placement/limits.js';
import type { Target } from './placement/target.js';
import { withoutCallOptions, type ScriptFile, type SubmitFields } from './request.js';

/**
 * Checks that the request has the parts that its template needs, and none that it does not take.
 * @throws AppError bad_request
 */
export function checkTemplateInputs(
  template: Template,
  fields: SubmitFields,
  script?: ScriptFile,
): void {
  const given = {
    dataset: fields.dataset_sha !== undefined,
    command: fields.command !== undefined,
    args: fields.args.length > 0,
    script: script !== undefined,
  };
  const fieldOf = { dataset: 'dataset_sha', command: 'command', args: 'args', script: 'script' };
  for (const part of ['dataset', 'command', 'args', 'script'] as const) {
    if (template[part] === 'required' && !given[part])
      throw fieldError('bad_request', fieldOf[part], `${template.commandKey} needs it`);
    if (template[part] === 'none' && given[part])
      throw fieldError('bad_request', fieldOf[part], `${template.commandKey} takes none`);
  }
}

/**
 * Builds the stored request: checks the fields together and fills in those that are missing.
 * @param context.isExternal whether an external Slurm runs the job
 * @throws AppError bad_request or unprocessable, naming the field
 */
export function normalize(
  template: Template,
  fields: SubmitFields,
  { limits, mayBeRemote }: Pick<Target, 'limits' | 'mayBeRemote'>,
  { models, isExternal }: { models: ModelNeeds; isExternal: boolean },
  script?: ScriptFile,
): JobRequest {
  const { mem_gb, time_limit, name, gpus, gpu_mem_gb } = fields;
  if (gpus !== undefined && gpu_mem_gb !== undefined)
    throw fieldError('bad_request', 'gpu_mem_gb', 'give this or gpus, not both');
  if (fields.gpu_type !== undefined && !isExternal)
    throw fieldError(
      'unprocessable',
      'gpu_type',
      'only an external Slurm has types of GPU; choose GPUs with allowed_gpus',
    );
  if (fields.conda_env !== undefined && fields.venv !== undefined)
    throw fieldError('bad_request', 'conda_env', 'give this or venv, not both');
  for (const field of ['timeout', 'split_log'] as const)
    if (fields.screen && fields[field])
      throw fieldError('unprocessable', field, 'cannot be combined with screen; leave one out');
  const llm = fields.llm ?? modelInArguments(fields.args);
  const forModel = llm === undefined || gpu_mem_gb !== undefined ? 0 : models.gpusFor(llm);
  return {
    ...withoutCallOptions(fields),
    llm,
    gpus: gpus ?? forModel,
    params: checkParams(template, fields.params),
    mem_gb: mem_gb ?? Math.min(defaultMemoryGb, limits.memoryMb / 1024),
    time_limit: time_limit ?? defaultTimeLimit(fields, limits, mayBeRemote),
    name: name ?? fields.command_key,
    script_name: script?.name,
  };
}

/** Returns the fields that submit a request again; {@link normalize} builds the same from them. */
export function fieldsOf({ script_name: _, ...request }: JobRequest): SubmitFields {
  const gpus = request.gpu_mem_gb === undefined ? request.gpus : undefined;
  return { ...request, gpus, dedup: false, dry_run: false };
}
