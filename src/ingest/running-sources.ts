import { AppError } from '../errors.js';
import type { IngestSourceStatus } from './source-status.js';

/** What every source in has in common, for those who look at it and pause it. */
export interface RunningSource {
  readonly name: string;
  status(): IngestSourceStatus;
  /** Takes nothing more; what was taken goes on. Paused already, it stays as it was. */
  pause(by: string): void;
  resume(): void;
}

/** The sources in that this service has, by their names. */
export class RunningSources {
  readonly #sources: readonly RunningSource[];

  constructor(sources: readonly RunningSource[]) {
    this.#sources = sources;
  }

  list(): IngestSourceStatus[] {
    return this.#sources.map((source) => source.status());
  }

  /** @throws AppError not_found with the names there are. */
  get(name: string): RunningSource {
    const source = this.#sources.find((each) => each.name === name);
    if (source) return source;
    const there = this.#sources.map((each) => each.name);
    throw new AppError(
      'not_found',
      `there is no route ${JSON.stringify(name.slice(0, 64))}; there are ${there.join(', ')}`,
      { details: { routes: there } },
    );
  }
}
