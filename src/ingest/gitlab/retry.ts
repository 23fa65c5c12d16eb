import { setTimeout as delay } from 'node:timers/promises';

/**
 * Clock of the client, replaceable so that tests need not wait. Milliseconds; `now` counts from
 * 1970.
 */
export interface Clock {
  now(): number;
  /** @throws the signal's reason when it fires. */
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void>;
}

export const systemClock: Clock = {
  now: Date.now,
  sleep: (ms, signal) => delay(ms, undefined, signal && { signal }),
};

const firstMs = 1_000;
const maxMs = 60_000;

/** Maximum wait on GitLab’s request; a longer one becomes an error that names the time. */
export const maxRetryAfterMs = 3_600_000;

/**
 * Computes the wait after a number of failures in a row, counted from 1: 1 s, doubled each time, at
 * most 60 s.
 */
export function backoffMs(failures: number): number {
  return Math.min(maxMs, firstMs * 2 ** (failures - 1));
}

/** Whether the same request may succeed later: after 409 (a lock), 429 and errors of the server. */
export function isPassing(status: number): boolean {
  return status === 409 || status === 429 || status >= 500;
}

/**
 * Reads the time for which GitLab asks for no more requests, in milliseconds; undefined if it does
 * not say.
 * `Retry-After` is seconds or a date (RFC 9110, 10.2.3). `RateLimit-Reset` is seconds since 1970
 * (docs.gitlab.com/administration/settings/user_and_ip_rate_limits) by the server’s clock, which
 * `Date` tells. It counts only when no request is left (`RateLimit-Remaining: 0`, or a 429).
 */
export function retryAfterMs(status: number, headers: Headers, now: number): number | undefined {
  const date = Date.parse(headers.get('date') ?? '');
  const there = Number.isNaN(date) ? now : date;
  const after = headers.get('retry-after')?.trim();
  if (after !== undefined && /^\d+$/.test(after)) return Number(after) * 1000;
  const until = Date.parse(after ?? '');
  if (!Number.isNaN(until)) return Math.max(0, until - there);
  const used = status === 429 || headers.get('ratelimit-remaining')?.trim() === '0';
  const reset = headers.get('ratelimit-reset')?.trim();
  if (!used || reset === undefined || !/^\d+$/.test(reset)) return undefined;
  return Math.max(0, Number(reset) * 1000 - there);
}
