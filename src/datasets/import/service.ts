import type { Logger } from 'pino';
import type { Database } from '../../db/database.js';
import { AppError } from '../../errors.js';
import type { ObjectStore } from '../../storage/object-store/object-store.js';
import type { Sha256 } from '../digest.js';
import { CancelledImport, explainFailure, InterruptedImport, viewImport } from './record.js';
import type { ImportView } from './replies.js';
import {
  endImport,
  failRunningImports,
  insertImport,
  selectImport,
  selectImports,
  type ImportEnd,
} from './store.js';
import { transfer, type DatasetReceiver, type Progress } from './transfer.js';
import { parseImportUri, type ImportLocation } from './uri.js';

export interface ImportServiceParts {
  db: Database;
  datasets: DatasetReceiver;
  /** Undefined when imports are disabled. */
  storage: { store: ObjectStore; bucket: string | undefined; mount: string } | undefined;
  limits: { uploadBytes: number; extractFiles: number };
  now: () => number;
  log: Logger;
  /** Most imports that run at once; the others wait. */
  concurrency?: number;
}

export interface ImportRequest {
  /** The owner of the import. */
  user: string;
  uri: string;
  sha256?: Sha256 | undefined;
  name?: string | undefined;
}

interface Live {
  location: ImportLocation;
  request: ImportRequest;
  started: boolean;
  progress: Progress;
  abort: AbortController;
  ended: Promise<void>;
  settle: () => void;
}

const maxRunning = 4;
const maxQueued = 1000;

type Outcome = Omit<ImportEnd, 'bytes_done' | 'bytes_total'>;

/**
 * Runs imports from B2 or S3, four at a time and three of one user. The user with the fewest comes
 * first; a user's own run in order of request. All end with the process.
 */
export class ImportService {
  readonly #parts: ImportServiceParts;

  readonly #live = new Map<number, Live>();
  #running = 0;
  #closed = false;

  constructor(parts: ImportServiceParts) {
    this.#parts = parts;
  }

  /** Fails the imports that a crash cut off; nothing of them was kept. */
  start(): void {
    const { db, log, now } = this.#parts;
    const interrupted = failRunningImports(db, explainFailure(new InterruptedImport()), now());
    if (interrupted > 0) log.warn({ interrupted }, 'a crash cut imports off');
  }

  /**
   * Records an import and starts it when its turn comes.
   * @throws AppError bad_request (uri), conflict (imports are off), limit_reached (too many
   *   wait), shutting_down
   */
  create(request: ImportRequest): ImportView {
    const { db, now } = this.#parts;
    if (this.#closed) throw new AppError('shutting_down', 'the service is stopping; try again');
    const location = parseImportUri(request.uri, this.#storage());
    if (this.#live.size - this.#running >= maxQueued)
      throw new AppError(
        'limit_reached',
        `${maxQueued} imports are waiting already; try again later`,
      );
    const id = insertImport(db, request.user, request.uri, now());
    const { promise: ended, resolve: settle } = withResolvers();
    const progress = { done: 0, total: null };
    const abort = new AbortController();
    this.#live.set(id, { location, request, started: false, progress, abort, ended, settle });
    this.#startNext();
    return this.get(id);
  }

  /**
   * @param scope the user whose imports the caller may see; undefined for all users'
   * @throws AppError not_found
   */
  get(id: number, scope?: string): ImportView {
    const row = selectImport(this.#parts.db, id);
    if (!row || (scope !== undefined && row.user !== scope))
      throw new AppError('not_found', `import ${id}: no such import; see /datasets/imports`);
    return viewImport(row, this.#live.get(id));
  }

  /** Lists the newest imports first. @param before only imports with smaller numbers */
  list(scope: string | undefined, limit = 1000, before?: number): ImportView[] {
    return selectImports(this.#parts.db, { user: scope, limit, before }).map((row) =>
      viewImport(row, this.#live.get(row.id)),
    );
  }

  /** Waits until the import has ended or the signal is aborted. */
  async wait(id: number, signal: AbortSignal): Promise<ImportView> {
    const ended = this.#live.get(id)?.ended;
    if (ended && !signal.aborted) {
      const { promise: aborted, resolve } = withResolvers();
      signal.addEventListener('abort', resolve, { once: true });
      await Promise.race([ended, aborted]);
      signal.removeEventListener('abort', resolve);
    }
    return this.get(id);
  }

  /**
   * Stops an import and waits until its leftovers are removed.
   * @throws AppError not_found; conflict when it has ended already
   */
  async cancel(id: number): Promise<ImportView> {
    const live = this.#live.get(id);
    if (!live) {
      const { state } = this.get(id);
      throw new AppError('conflict', `import ${id}: has ended already (${state})`);
    }
    live.abort.abort(new CancelledImport());
    await this.#afterAbort(id, live);
    return this.get(id);
  }

  /** Stops every import and waits for them; they are kept as interrupted. */
  async close(): Promise<void> {
    this.#closed = true;
    const all = [...this.#live];
    for (const [, live] of all) live.abort.abort(new InterruptedImport());
    await Promise.all(all.map(([id, live]) => this.#afterAbort(id, live)));
  }

  #storage() {
    if (!this.#parts.storage)
      throw new AppError(
        'conflict',
        'imports are off: set JR_B2_ENABLE=1 with JR_B2_KEY_ID and JR_B2_APP_KEY, and start again',
      );
    return this.#parts.storage;
  }

  #startNext(): void {
    while (this.#running < (this.#parts.concurrency ?? maxRunning)) {
      const next = this.#nextToStart();
      if (next === undefined) return;
      const [id, live] = next;
      live.started = true;
      this.#running += 1;
      void this.#run(id, live).finally(() => {
        this.#running -= 1;
        if (!this.#closed) this.#startNext();
      });
    }
  }

  /** Finds the oldest import of the users who have the fewest under way. */
  #nextToStart(): [number, Live] | undefined {
    const underWay = new Map<string, number>();
    const of = ({ request: { user } }: Live) => underWay.get(user) ?? 0;
    for (const live of this.#live.values())
      if (live.started) underWay.set(live.request.user, of(live) + 1);
    const most = Math.max(1, (this.#parts.concurrency ?? maxRunning) - 1);
    const [next] = [...this.#live]
      .filter(([, live]) => !live.started && of(live) < most)
      .toSorted(([, a], [, b]) => of(a) - of(b));
    return next;
  }

  async #run(id: number, live: Live): Promise<void> {
    const { datasets, limits } = this.#parts;
    const { location, request, progress, abort } = live;
    try {
      const { user: owner, sha256: expectedSha, name } = request;
      const what = { location, owner, expectedSha, name, limits };
      const sha256 = await transfer(this.#storage().store, datasets, what, progress, abort.signal);
      this.#end(id, live, { state: 'COMPLETED', sha256, error_code: null, error: null });
    } catch (error) {
      this.#end(id, live, this.#failure(id, abort.signal.aborted ? abort.signal.reason : error));
    }
  }

  /** Waits for an aborted import; one that has not started ends at once. */
  async #afterAbort(id: number, live: Live): Promise<void> {
    if (!live.started) this.#end(id, live, this.#failure(id, live.abort.signal.reason));
    await live.ended;
  }

  #failure(id: number, error: unknown): Outcome {
    const failure = explainFailure(error);
    const cause = error instanceof AppError ? error.cause : error;
    if (failure.code === 'internal')
      this.#parts.log.error({ import: id, err: error }, 'import failed');
    else this.#parts.log.warn({ import: id, err: cause }, failure.message);
    return { state: 'FAILED', sha256: null, error_code: failure.code, error: failure.message };
  }

  #end(id: number, live: Live, outcome: Outcome): void {
    const { done, total } = live.progress;
    const { db, now, log } = this.#parts;
    try {
      endImport(db, id, { ...outcome, bytes_done: done, bytes_total: total }, now());
    } catch (error) {
      // Only the record is wrong, not the dataset; the next start corrects it.
      log.error({ import: id, err: error }, 'could not record the end of an import');
    }
    this.#live.delete(id);
    live.settle();
  }
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
