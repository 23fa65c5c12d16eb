import type { Request, Response } from 'express';
import { z } from 'zod';
import { abortWhenDone, noTimeout } from './long-reply.js';

/** Longest wait that a request may ask for, in seconds. */
export const maxWait = 300;

/** `?wait=`: whole seconds to wait for an end, as many as allowed if left out. */
export const waitSchema = z
  .string()
  .regex(/^\d{1,15}$/, 'expected a whole number')
  .transform(Number)
  .refine((n) => n <= maxWait, `at most ${maxWait}`)
  .default(maxWait);

/** Headers that proxies add. */
const proxyHeaders = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-proto', 'x-real-ip'];

/**
 * Bounds how long replies wait for an end. A proxy gives up after a time of its own, often 60 s,
 * and answers 504 itself. So a request that came through a proxy is answered sooner.
 */
export class Waits {
  readonly #stopping: AbortSignal;
  readonly #maxBehindProxy: number;

  /**
   * @param stopping fires when the service stops
   * @param maxBehindProxy seconds
   */
  constructor(stopping: AbortSignal, maxBehindProxy: number) {
    this.#stopping = stopping;
    this.#maxBehindProxy = maxBehindProxy;
  }

  /** Returns the signal that fires when a reply should wait no longer. */
  begin(req: Request, res: Response, seconds: number): AbortSignal {
    noTimeout(res);
    const most = cameThroughProxy(req) ? Math.min(seconds, this.#maxBehindProxy) : seconds;
    return abortWhenDone(res, this.#stopping, most * 1000);
  }
}

/** Tells whether a proxy passed the request on. Those of HTTP/1.0 are nginx's, by default. */
function cameThroughProxy(req: Request): boolean {
  return req.httpVersion === '1.0' || proxyHeaders.some((name) => req.headers[name] !== undefined);
}
