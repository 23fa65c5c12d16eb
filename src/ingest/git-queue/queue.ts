import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { AppError } from '../../errors.js';
import { KeyLock } from '../../key-lock.js';
import {
  claimsFolder,
  keyOfPath,
  maxRecordBytes,
  parseRecord,
  recordPath,
  writeRecord,
  type ClaimRecord,
} from './claim-record.js';
import type { Change, Transition } from './transitions.js';
import { GitError } from './git.js';
import { maxQueueBytes, maxShownProblems, QueueFile } from './queue-file.js';
import type { QueueState } from './queue-state.js';
import type { PushResult, Repository, TreeEntry } from './repository.js';
import { PushBackoff } from './push-backoff.js';

/**
 * Number of refusals after which, on a branch that stands still, a rule of the repository must be
 * the cause.
 */
const maxRefusals = 8;

/** Memory limits: all claims of a queue, and one batch that is read. */
const maxClaimsBytes = 512 * 1024 ** 2;
const maxBatchBytes = 16 * 1024 ** 2;

export interface QueueParts {
  repository: Repository;
  /** The queue's path in the repository. */
  queueFile: string;
  /** Whether a missing queue counts as empty; the first change then creates it. */
  mayCreate?: boolean;
  by: { name: string; email: string };
  now: () => number;
}

/**
 * The queue in its repository. Each change is one commit, which is never merged, rebased or forced.
 */
export class Queue {
  readonly #lock = new KeyLock<'queue'>();
  readonly #records = new Map<string, ClaimRecord | AppError>();
  #state: QueueState | undefined;
  readonly #backoff = new PushBackoff();

  constructor(readonly parts: QueueParts) {}

  /** Fetches the current queue. @throws GitError, AppError when the queue cannot be read */
  look(signal?: AbortSignal): Promise<QueueState> {
    return this.#lock.hold('queue', () => this.#fetch(signal));
  }

  /**
   * Computes a transition on the newest state and pushes it. If another push came first, repeats
   * this on the new state. A push whose reply was lost is found in the branch.
   * @throws GitError; AppError conflict when the repository refuses every push
   */
  change<T>(decide: (state: QueueState) => Transition<T>, signal?: AbortSignal): Promise<T> {
    return this.#lock.hold('queue', async () => {
      const { repository } = this.parts;
      let refused: string | undefined;
      let last: { commit: string; result: T } | undefined;
      for (let refusals = 0; ;) {
        await pause(this.#backoff.pauseMs(), undefined, signal && { signal });
        const from = performance.now();
        const state = await this.#fetch(signal);
        if (last && (await this.#holds(state, last.commit, signal))) return last.result;
        // On a branch that stood still no rival was faster: a rule or a fault of the repository
        // refused the push.
        const isRule = refused !== undefined && (state.commit ?? '') === refused;
        refusals = isRule ? refusals + 1 : 0;
        if (isRule) this.#backoff.refusedByRule();
        const { result, change } = decide(state);
        if (change === undefined) return result;
        const commit = await this.#commit(state, change, signal);
        const pushed = await this.#push(commit, signal);
        const isTaken = pushed.kind === 'pushed';
        this.#backoff.record(isTaken, performance.now() - from);
        if (isTaken) return result;
        last = { commit, result };
        refused = state.commit ?? '';
        if (refusals >= maxRefusals)
          throw new AppError(
            'conflict',
            `the repository refuses pushes to ${repository.parts.branch}: ${pushed.reason}`,
          );
      }
    });
  }

  get pushes(): { taken: number; refused: number } {
    return this.#backoff.pushes;
  }

  async #push(commit: string, signal?: AbortSignal): Promise<PushResult> {
    try {
      return await this.parts.repository.push(commit, signal);
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      if (await this.#holds(await this.#fetch(signal), commit, signal)) return { kind: 'pushed' };
      throw error;
    }
  }

  async #holds(state: QueueState, commit: string, signal?: AbortSignal): Promise<boolean> {
    const { repository } = this.parts;
    return state.commit !== undefined && repository.isAncestor(commit, state.commit, signal);
  }

  #commit(state: QueueState, change: Change, signal?: AbortSignal): Promise<string> {
    const { repository, queueFile, by, now } = this.parts;
    const { file, files = [], records, message } = change;
    const changed = [
      ...[...records].map(([key, record]) => ({
        path: recordPath(key),
        content: writeRecord(record),
      })),
      ...files,
      ...(file ? [{ path: queueFile, content: file.bytes }] : []),
    ];
    const signature = { ...by, at: now() };
    // Otherwise two runners that make the same change in one second make the same commit, and both
    // believe their push succeeded.
    const own = `${message}\n\nJobRunner-Push: ${randomBytes(8).toString('hex')}\n`;
    return repository.commit(state.commit, changed, own, signature, signal);
  }

  async #fetch(signal?: AbortSignal): Promise<QueueState> {
    const commit = await this.parts.repository.fetch(signal);
    if (this.#state === undefined || this.#state.commit !== commit || commit === undefined)
      this.#state = await this.#read(commit, signal);
    return this.#state;
  }

  async #read(commit: string | undefined, signal?: AbortSignal): Promise<QueueState> {
    const { repository, queueFile, mayCreate = false } = this.parts;
    const { branch } = repository.parts;
    if (commit === undefined) {
      if (!mayCreate)
        throw new AppError(
          'not_found',
          `the repository has no branch ${branch}; choose another branch, or push this one`,
        );
      return { commit, file: QueueFile.empty(), records: new Map(), problems: [] };
    }
    const entries = await repository.list(commit, [queueFile, `${claimsFolder}/`], signal);
    const entry = entries.find(({ path }) => path === queueFile);
    const file = await this.#readFile(entry, mayCreate, signal);
    const { records, problems } = await this.#readRecords(entries, signal);
    const rows = file.problems.slice(0, maxShownProblems).map(({ line, message }) => ({
      where: `${queueFile}:${line}`,
      message,
    }));
    const more = file.problems.length - rows.length;
    if (more > 0) rows.push({ where: queueFile, message: `${more} more rows cannot be read` });
    return { commit, file, records, problems: [...rows, ...problems] };
  }

  async #readFile(entry: TreeEntry | undefined, mayCreate: boolean, signal?: AbortSignal) {
    const { queueFile } = this.parts;
    if (entry === undefined) {
      if (mayCreate) return QueueFile.empty();
      throw new AppError('not_found', `${queueFile}: not found in the repository`);
    }
    if (!isRegular(entry))
      throw new AppError('unprocessable', `${queueFile}: is not a regular file in the repository`);
    if ((entry.size ?? 0) > maxQueueBytes)
      throw new AppError(
        'unprocessable',
        `${queueFile}: is larger than ${maxQueueBytes / 1024 ** 2} MiB`,
      );
    const [bytes = Buffer.alloc(0)] = await this.parts.repository.read([entry.oid], signal);
    try {
      return QueueFile.read(bytes);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      throw new AppError(error.code, `${queueFile}: ${error.message}`, { cause: error });
    }
  }

  /** Reads the claims; objects that are known already are not read again. */
  async #readRecords(entries: readonly TreeEntry[], signal?: AbortSignal) {
    const records = new Map<string, ClaimRecord | null>();
    const problems: { where: string; message: string }[] = [];
    const claims = entries.flatMap((entry) => {
      const name = keyOfPath(entry.path);
      return name === undefined ? [] : [{ ...entry, key: name.key }];
    });
    const fresh = claims.filter(
      (entry) =>
        !this.#records.has(entry.oid) && isRegular(entry) && (entry.size ?? 0) <= maxRecordBytes,
    );
    const inAll = claims.reduce((sum, { size }) => sum + Math.min(size ?? 0, maxRecordBytes), 0);
    if (inAll > maxClaimsBytes)
      throw new AppError(
        'unprocessable',
        `${claimsFolder}: the claims come to more than ${maxClaimsBytes / 1024 ** 2} MiB; remove the rows of ended jobs and their claims`,
      );
    for (const batch of batches(fresh)) {
      const oids = batch.map(({ oid }) => oid);
      const contents = await this.parts.repository.read(oids, signal);
      for (const [i, { key, oid }] of batch.entries())
        this.#records.set(oid, tryParse(key, contents[i] ?? Buffer.alloc(0)));
    }
    const seen = new Set(claims.map(({ oid }) => oid));
    for (const oid of this.#records.keys()) if (!seen.has(oid)) this.#records.delete(oid);
    for (const { key, oid, path } of claims) {
      const record = this.#records.get(oid);
      records.set(key, record === undefined || record instanceof AppError ? null : record);
      if (record instanceof AppError) problems.push({ where: path, message: record.message });
      else if (record === undefined)
        problems.push({
          where: path,
          message: 'is not a regular file, or is too large for a claim',
        });
    }
    return { records, problems };
  }
}

/**
 * Splits entries into batches within git’s output limit: a first read of an old queue has many
 * claims.
 */
function batches<Entry extends Pick<TreeEntry, 'size'>>(entries: readonly Entry[]): Entry[][] {
  const all: Entry[][] = [];
  let bytes = Infinity;
  for (const entry of entries) {
    bytes += entry.size ?? 0;
    if (bytes > maxBatchBytes) {
      all.push([]);
      bytes = entry.size ?? 0;
    }
    all.at(-1)?.push(entry);
  }
  return all;
}

function isRegular({ mode }: TreeEntry): boolean {
  return mode === '100644' || mode === '100755';
}

function tryParse(key: string, bytes: Buffer): ClaimRecord | AppError {
  try {
    return parseRecord(key, bytes);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}
