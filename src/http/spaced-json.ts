import type { Response } from 'express';

/** Replies with `{ "exists": true }`, a space after each colon: scripts grep the dataset replies for that. */
export function sendSpaced(res: Response, body: unknown): void {
  // Line breaks inside strings are escaped in JSON, so the ones found here are only layout.
  res.type('json').send(`${JSON.stringify(body, null, 1).replace(/\n */g, ' ')}\n`);
}
