import { AppError } from '../errors.js';
import type { RouteStatus } from './route-status.js';

/** What every way in has in common, for those who look at it and pause it. */
export interface WayIn {
  readonly name: string;
  status(): RouteStatus;
  /** Takes nothing more; what was taken goes on. Paused already, it stays as it was. */
  pause(by: string): void;
  resume(): void;
}

/** The ways in that this service has, by their names. */
export class WaysIn {
  readonly #ways: readonly WayIn[];

  constructor(ways: readonly WayIn[]) {
    this.#ways = ways;
  }

  list(): RouteStatus[] {
    return this.#ways.map((way) => way.status());
  }

  /** @throws AppError not_found with the names there are. */
  get(name: string): WayIn {
    const way = this.#ways.find((each) => each.name === name);
    if (way) return way;
    const there = this.#ways.map((each) => each.name);
    throw new AppError(
      'not_found',
      `there is no route ${JSON.stringify(name.slice(0, 64))}; there are ${there.join(', ')}`,
      { details: { routes: there } },
    );
  }
}
