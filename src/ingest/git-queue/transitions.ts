import type { Claim } from '../source.js';
import type { FileChange } from './import-stream.js';
import type { ClaimRecord, ResultEntry } from './claim-record.js';
import type { QueueFile, QueueRow, RowStatus } from './queue-file.js';
import { listIn, readyJobs, runningJobs, type QueueState } from './queue-state.js';
import { isoTime } from '../../iso-time.js';

/** Changes that one commit makes. */
export interface Change {
  message: string;
  /** Changed claims, by key. */
  records: ReadonlyMap<string, ClaimRecord>;
  file?: QueueFile;
  /** Results to commit. */
  files?: readonly FileChange[];
}

/**
 * The result of an operation on the queue, and the commit that it needs, if any. It is computed
 * anew for each state that it is tried on.
 */
export interface Transition<T> {
  result: T;
  change?: Change;
}

/** Applies a change to a state. */
export function after(state: QueueState, change: Change | undefined): QueueState {
  if (change === undefined) return state;
  const records = new Map([...state.records, ...change.records]);
  return { ...state, records, file: change.file ?? state.file };
}

/** Merges two changes, the second of which was computed {@link after} the first. */
export function together(
  first: Change | undefined,
  second: Change | undefined,
): Change | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return {
    message: `${first.message}; ${second.message.charAt(0).toLowerCase()}${second.message.slice(1)}`,
    records: new Map([...first.records, ...second.records]),
    files: [...(first.files ?? []), ...(second.files ?? [])],
    ...spread(second.file ?? first.file),
  };
}

/**
 * Outcome of a job. `again`: the job was not to blame, and this start does not count as an attempt.
 */
export interface Ending {
  kind: 'succeeded' | 'failed' | 'refused' | 'again';
  exitCode: number | null;
  message: string | null;
  log: string[];
  results: ResultEntry[];
  /** Files to commit below the results folder. */
  files: FileChange[];
  /** Id of the job at the server that ran it. */
  jobId?: number | null;
}

/**
 * Claims a job: its row becomes `running`, and its claim names the runner.
 * Returns `won` also if an earlier try succeeded whose reply was lost. Two runners that make the
 * same edit both see their push succeed; only the nonce tells them apart.
 * @param replaces the nonce of the expired claim
 */
export function claimJob(
  state: QueueState,
  key: string,
  replaces: string | undefined,
  claim: Claim,
  now: number,
): Transition<'won' | 'lost'> {
  const old = state.records.get(key);
  if (old === null) return { result: 'lost' };
  if (old?.nonce === claim.nonce) return { result: old.status === 'running' ? 'won' : 'lost' };
  const open =
    replaces === undefined
      ? readyJobs(state).find((job) => job.key === key)
      : runningJobs(state).find((job) => job.key === key && job.replaces.nonce === replaces);
  if (open === undefined || leaseOf(old) > now) return { result: 'lost' };
  const { row } = open;
  const record: ClaimRecord = {
    version: 1,
    script: row.script,
    args: row.args,
    kwargs: row.kwargs,
    copy: Number(key.slice(17)),
    status: 'running',
    attempts: (old?.attempts ?? 0) + 1,
    worker: claim.worker,
    nonce: claim.nonce,
    claimed_at: isoTime(now),
    renewed_at: isoTime(now),
    lease_until: isoTime(claim.leaseUntil),
    ended_at: null,
    exit_code: null,
    message: null,
    results: [],
    log: [],
  };
  const verb = replaces === undefined ? 'Claim' : 'Take over';
  return {
    result: 'won',
    change: change(state, key, record, row, `${verb} ${row.script} for ${claim.worker}`),
  };
}

/** Renews the lease. `cancelled`: somebody removed the row or changed it by hand. */
export function renewJob(
  state: QueueState,
  key: string,
  claim: Claim,
  now: number,
): Transition<'kept' | 'cancelled' | 'lost'> {
  const record = ownRecord(state, key, claim);
  if (record?.status !== 'running') return { result: 'lost' };
  if (!runningJobs(state).some((job) => job.key === key)) return { result: 'cancelled' };
  const renewed = { ...record, renewed_at: isoTime(now), lease_until: isoTime(claim.leaseUntil) };
  const message = `Renew ${record.script} for ${claim.worker}`;
  return { result: 'kept', change: change(state, key, renewed, undefined, message) };
}

/** Records a job’s outcome. A row that somebody changed by hand stays as it is. */
export function endJob(
  state: QueueState,
  key: string,
  claim: Pick<Claim, 'nonce'>,
  ending: Ending,
  { maxAttempts, now }: { maxAttempts: number; now: number },
): Transition<'written' | 'lost'> {
  const record = ownRecord(state, key, claim);
  if (record === undefined) return { result: 'lost' };
  if (record.status !== 'running') return { result: 'written' };
  const status = statusAfter(ending.kind, record.attempts, maxAttempts);
  const ended: ClaimRecord = {
    ...record,
    status,
    attempts: ending.kind === 'again' ? record.attempts - 1 : record.attempts,
    lease_until: null,
    ended_at: isoTime(now),
    exit_code: ending.exitCode,
    message: ending.message,
    ...(typeof ending.jobId === 'number' && { job_id: ending.jobId }),
    results: ending.results,
    log: ending.log,
  };
  const row = runningJobs(state).find((job) => job.key === key)?.row;
  const made = change(state, key, ended, row, `Set ${record.script} to ${status}`);
  return { result: 'written', change: { ...made, files: ending.files } };
}

/** Gives up a job whose runners died at each permitted attempt. */
export function giveUpJob(
  state: QueueState,
  key: string,
  nonce: string,
  limits: { maxAttempts: number; now: number },
): Transition<'written' | 'lost'> {
  const message = 'its runner disappeared at every attempt';
  const nothing = { exitCode: null, log: [], results: [], files: [] };
  return endJob(state, key, { nonce }, { kind: 'refused', message, ...nothing }, limits);
}

/**
 * Sets stuck or failed rows back to `ready`, with all their attempts. A runner that still has such
 * a job loses it.
 * @param isMeant selects the rows
 */
export function resetJobs(
  state: QueueState,
  isMeant: (row: QueueRow) => boolean,
): Transition<QueueRow[]> {
  const rows = state.file.rows.filter((row) => row.status !== 'ready' && isMeant(row));
  if (rows.length === 0) return { result: [] };
  const file = state.file.withStatuses(rows, 'ready');
  const claims = new Map<string, [string, ClaimRecord][]>();
  for (const [key, record] of state.records)
    if (record) listIn(claims, `${key.slice(0, 16)} ${record.status}`).push([key, record]);
  // Among equal running rows, take the one whose runner has been silent for longest.
  for (const equal of claims.values()) equal.sort(([, a], [, b]) => leaseOf(b) - leaseOf(a));
  const records = new Map<string, ClaimRecord>();
  for (const row of rows) {
    const [key, claim] = claims.get(`${row.digest.slice(0, 16)} ${row.status}`)?.pop() ?? [];
    if (key === undefined || claim === undefined) continue;
    const none = { attempts: 0, nonce: null, lease_until: null };
    records.set(key, { ...claim, ...none, status: 'ready' });
  }
  const what = rows.length === 1 ? rows[0]?.script : `${rows.length} jobs`;
  return { result: rows, change: { message: `Reset ${what}`, records, file } };
}

/** Returns the end of a claim’s lease, in milliseconds since 1970; 0 without a lease. */
export function leaseOf(record: ClaimRecord | undefined | null): number {
  return record?.status === 'running' && record.lease_until !== null
    ? Date.parse(record.lease_until)
    : 0;
}

function statusAfter(kind: Ending['kind'], attempts: number, maxAttempts: number): RowStatus {
  if (kind === 'succeeded') return 'run';
  if (kind === 'again') return 'ready';
  return kind === 'refused' || attempts >= maxAttempts ? 'failed' : 'ready';
}

function change(
  state: QueueState,
  key: string,
  record: ClaimRecord,
  row: QueueRow | undefined,
  message: string,
): Change {
  return {
    message,
    records: new Map([[key, record]]),
    ...(row && row.status !== record.status && { file: state.file.withStatus(row, record.status) }),
  };
}

function ownRecord(state: QueueState, key: string, { nonce }: Pick<Claim, 'nonce'>) {
  const record = state.records.get(key);
  return record?.nonce === nonce ? record : undefined;
}

function spread(file: QueueFile | undefined): { file?: QueueFile } {
  return file === undefined ? {} : { file };
}
