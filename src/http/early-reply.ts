import type { Request, Response } from 'express';

/** Time for a refused caller that still sends; then the connection is cut. */
const LINGER_MS = 10_000;

/** Tells whether the caller may still be sending. */
export function hasUnreadBody(req: Request): boolean {
  const announced =
    req.get('transfer-encoding') !== undefined || Number(req.get('content-length') ?? 0) > 0;
  return announced && !req.complete && !req.destroyed;
}

/**
 * Answers a request whose body is no longer wanted, and ends the connection. Closing a socket that
 * holds unread bytes would reset it and discard the reply (RFC 9112, section 9.6). So the reply
 * goes out first; bytes that still arrive are dropped until the caller stops. After an error that
 * lasts ten seconds at most. After a success it lasts as long as the caller sends: some read the
 * reply only at the end.
 */
export function replyBeforeBodyEnds(req: Request, res: Response, text: string): void {
  res.set({
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(text)),
    Connection: 'close',
  });
  res.write(text);
  const end = () => {
    clearTimeout(patience);
    req.off('end', end).off('close', end);
    res.end();
  };
  const patience = res.statusCode < 400 ? undefined : setTimeout(end, LINGER_MS);
  req.on('end', end).on('close', end).resume();
}
