import type { Response } from 'express';
import { hasUnreadBody, replyBeforeBodyEnds } from './early-reply.js';

/** Replies with `{ "exists": true }`: scripts grep dataset replies for a space after each colon. */
export function sendGreppableJson(res: Response, body: unknown): void {
  // JSON escapes line breaks inside strings, so each one found here is layout.
  const text = `${JSON.stringify(body, null, 1).replace(/\n */g, ' ')}\n`;
  if (hasUnreadBody(res.req)) replyBeforeBodyEnds(res.req, res, text);
  else res.type('json').send(text);
}
