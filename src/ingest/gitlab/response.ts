import { stringify } from 'yaml';
import type { Outcome } from '../outcome.js';
import type { Claim, Progress } from '../source.js';
import { lastLines, visible } from './log-lines.js';
import { isoTime } from '../../iso-time.js';

/** A larger file is not one of ours. */
const maxResponseBytes = 256 * 1024;
const maxOutputs = 200;
const maxWarnings = 20;

export interface Claimed {
  nonce: string;
  worker: string;
  /** ISO 8601. */
  claimedAt: string | undefined;
  /** Milliseconds since 1970; undefined once the outcome is reported. */
  leaseUntil: number | undefined;
}

/**
 * Reads the claim in a `response.yaml`. It only reads top-level lines in the form that we write.
 * The file may come from anybody, and parsing YAML in full takes a thread.
 * @returns undefined for another program’s file, which counts as a claim that never ends
 */
export function readResponse(content: Buffer): Claimed | undefined {
  if (content.length > maxResponseBytes) return undefined;
  const text = content.toString('utf8');
  const [nonce, worker, claimedAt, lease] = ['nonce', 'worker', 'claimed_at', 'lease_until'].map(
    (name) => valueOf(text, name),
  );
  if (nonce === undefined || worker === undefined) return undefined;
  const leaseUntil = lease === undefined ? undefined : Date.parse(lease);
  return Number.isNaN(leaseUntil) ? undefined : { nonce, worker, claimedAt, leaseUntil };
}

/** Finds the value of a top-level key; undefined if the key is missing or occurs twice. */
function valueOf(text: string, key: string): string | undefined {
  const lines = [
    ...text.matchAll(new RegExp(`^${key}: *(["']?)([\\w.:+-]{0,300})\\1 *\\r?$`, 'gm')),
  ];
  return lines.length === 1 ? lines[0]?.[2] || undefined : undefined;
}

/**
 * Writes `response.yaml` of a job that is ours and has not ended.
 * @param claimedAt ISO 8601
 */
export function claimedResponse(
  jobId: string,
  claim: Claim,
  { jobId: ownJobId, state }: Progress,
  claimedAt: string,
): string {
  return write({
    job_id: jobId,
    status: state ?? 'CLAIMED',
    worker: claim.worker,
    nonce: claim.nonce,
    claimed_at: claimedAt,
    lease_until: isoTime(claim.leaseUntil),
    ...(ownJobId !== null && { jobrunner_job_id: ownJobId }),
  });
}

/** Writes the final `response.yaml`. */
export function reportedResponse(
  jobId: string,
  claim: Claim,
  outcome: Outcome,
  { claimedAt, reportedAt }: { claimedAt: string | undefined; reportedAt: number },
): string {
  const outputs = outcome.outputs.slice(0, maxOutputs);
  const warnings = outcome.warnings.slice(0, maxWarnings);
  const leftOut = outcome.outputs.length - outputs.length;
  const log = lastLines(outcome.log);
  return write({
    job_id: jobId,
    status: outcome.status,
    worker: claim.worker,
    nonce: claim.nonce,
    ...(claimedAt !== undefined && { claimed_at: claimedAt }),
    reported_at: isoTime(reportedAt),
    jobrunner_job_id: outcome.jobId,
    experiment_id: outcome.experimentId,
    submitted_at: isoTime(outcome.submittedAt),
    started_at: isoTime(outcome.startedAt),
    ended_at: isoTime(outcome.endedAt),
    exit_code: outcome.exitCode,
    signal: outcome.signal,
    failure: outcome.failure,
    message: outcome.message && visible(outcome.message),
    outputs: outputs.map(({ id, path, kind, size, sha256, url }) => ({
      id,
      path: visible(path),
      kind,
      size,
      ...(sha256 !== null && { sha256 }),
      ...(url !== null && { url }),
    })),
    ...(leftOut > 0 && { outputs_left_out: leftOut }),
    ...(warnings.length > 0 && { warnings: warnings.map(visible) }),
    ...(log !== '' && { log }),
  });
}

/** Writes YAML 1.1, which PyYAML also reads. */
function write(response: object): string {
  return stringify(response, { version: '1.1', lineWidth: 0, blockQuote: 'literal' });
}
