import { AppError } from '../errors.js';
import type { Api } from '../http/api.js';
import type { IngestSourceStatus } from './source-status.js';

/** An open ingest source, to be shown, paused and resumed. */
export interface RunningSource {
  readonly name: string;
  status(): IngestSourceStatus;
  /**
   * Stops taking jobs; jobs already taken continue. A source that is paused already stays
   * unchanged.
   */
  pause(by: string): void;
  resume(): void;
  /** Mounts the source's own endpoints, if it has any. */
  mount?(api: Api): void;
}

/** The ingest sources of this service, by name. */
export class RunningSources {
  readonly all: readonly RunningSource[];

  constructor(all: readonly RunningSource[]) {
    this.all = all;
  }

  list(): IngestSourceStatus[] {
    return this.all.map((source) => source.status());
  }

  /** @throws AppError not_found naming the available sources. */
  get(name: string): RunningSource {
    const source = this.all.find((each) => each.name === name);
    if (source) return source;
    const available = this.all.map((each) => each.name);
    throw new AppError(
      'not_found',
      `unknown ingest source ${JSON.stringify(name.slice(0, 64))}; available: ${available.join(', ')}`,
      { details: { sources: available } },
    );
  }
}
