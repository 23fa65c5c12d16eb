import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { requestDefaults, type JobRequest, type ScriptFile, type SubmitFields } from './request.js';

/**
 * Hashes the fields of a request as they were sent, for its idempotency key. Fields that JobRunner
 * fills in are not hashed: their values may differ when the same request is sent again.
 */
export function requestHashOf(fields: SubmitFields, script: ScriptFile | undefined): string {
  const sent = { ...fields, dedup: undefined, dry_run: undefined, script_name: script?.name };
  return createHash('sha256')
    .update(JSON.stringify(sent))
    .update(script?.content ?? '')
    .digest('hex');
}

/** Fields that give the same work other resources, another target, name or log. */
const notWork: ReadonlySet<string> = new Set<keyof JobRequest>([
  'gpus',
  'gpu_mem_gb',
  'allowed_gpus',
  'gpu_type',
  'llm',
  'cuda',
  'cpus',
  'mem_gb',
  'time_limit',
  'timeout',
  'partition',
  'screen',
  'split_log',
  'priority',
  'requeue',
  'experiment_id',
  'name',
  'script_name',
]);

/** Fields of the work in stored hashes, in their order there. */
const inStoredHashes = [
  'command_key',
  'command',
  'args',
  'params',
  'env',
  'dataset_sha',
  'conda_env',
  'venv',
] as const;

/**
 * Picks the fields that decide what a job does. A newer one is left out at its default, so that
 * stored hashes still match.
 */
function workOf(request: JobRequest): Record<string, unknown> {
  const newer = Object.entries(request).filter(
    ([name, value]) =>
      !notWork.has(name) &&
      !inStoredHashes.some((stored) => stored === name) &&
      !isDeepStrictEqual(value, requestDefaults[name as keyof typeof requestDefaults]),
  );
  return {
    ...Object.fromEntries(inStoredHashes.map((name) => [name, request[name]])),
    ...Object.fromEntries(newer),
  };
}

/**
 * Hashes the work of a job, apart from its resources, time and name.
 * @param contentHash digest of a file that the job runs in place
 */
export function dedupHashOf(
  request: JobRequest,
  script: ScriptFile | undefined,
  contentHash: string | undefined,
): string {
  return createHash('sha256')
    .update(JSON.stringify({ ...workOf(request), contentHash }))
    .update(script?.content ?? '')
    .digest('hex');
}
