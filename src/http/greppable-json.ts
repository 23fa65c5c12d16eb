import type { Response } from 'express';

/** Replies with `{ "exists": true }`: scripts grep dataset replies for a space after each colon. */
export function sendGreppableJson(res: Response, body: unknown): void {
  // JSON escapes line breaks inside strings, so each one found here is layout.
  res.type('json').send(`${JSON.stringify(body, null, 1).replace(/\n */g, ' ')}\n`);
}
