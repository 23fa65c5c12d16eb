import { createHash } from 'node:crypto';
import type { JobRequest } from './job.js';
import type { ScriptFile, SubmitFields } from './request.js';

/**
 * Equal for requests that are the same in every field of the job, as sent: what an idempotency key stands for. What the box fills in may be
 * otherwise when the same is sent again.
 */
export function requestHashOf(fields: SubmitFields, script: ScriptFile | undefined): string {
  const sent = { ...fields, dedup: undefined, dry_run: undefined, script_name: script?.name };
  return createHash('sha256')
    .update(JSON.stringify(sent))
    .update(script?.content ?? '')
    .digest('hex');
}

/**
 * Equal for jobs that do the same, whatever they are given for it, when, and under what name.
 * @param contentHash digest of a file that the job runs where it lies
 */
export function dedupHashOf(
  request: JobRequest,
  script: ScriptFile | undefined,
  contentHash: string | undefined,
): string {
  const { command_key, command, args, params, env, dataset_sha, conda_env, venv } = request;
  const work = { command_key, command, args, params, env, dataset_sha, conda_env, venv };
  return createHash('sha256')
    .update(JSON.stringify({ ...work, contentHash }))
    .update(script?.content ?? '')
    .digest('hex');
}
