import type { RequestHandler, Response } from 'express';
import type { Database } from '../db/database.js';
import { AuditLog } from './audit-log.js';
import type { Caller } from './caller.js';

/** Names the thing that a request made or changed, for the audit log. */
export function nameSubject(res: Response, subject: string): void {
  res.locals['subject'] = subject;
}

/** Marks a request whose token came in its body, not in its header. */
export function tokenInBody(res: Response): void {
  res.locals['tokenInBody'] = true;
}

/**
 * Logs each change and each refused request; requests that only read and were allowed leave no row.
 * Callers without a valid token cannot fill the disk: wrong tokens are limited in number, and
 * requests without a token leave no row. {@link AuditLog} bounds the rest.
 */
export function audit(db: Database, now: () => number): RequestHandler {
  const auditLog = new AuditLog(db);
  return (req, res, next) => {
    // Read the path now: nested routers cut their own part off.
    const path = req.path.slice(0, 500);
    // Read the address now: a closed connection tells none that was not read before.
    const { ip } = req;
    res.on('close', () => {
      const caller = res.locals['caller'] as Caller | undefined;
      const status = res.statusCode;
      const looks = req.method === 'GET' || req.method === 'HEAD';
      const hasWrongToken =
        status === 401 &&
        (req.get('authorization') !== undefined || res.locals['tokenInBody'] === true);
      const isChange = !looks && caller !== undefined && status !== 429;
      if (!isChange && !hasWrongToken && status !== 403) return;
      try {
        const subject = (res.locals['subject'] as string | undefined) ?? null;
        const { method } = req;
        // A guard may have found that the headers pretend another address.
        const address = req.ip ?? ip ?? 'socket';
        auditLog.write({ at: now(), caller, address, method, path, status, subject });
      } catch (error) {
        // The disk is full, and the reply has been sent. Keep the entry in the service's log
        // instead.
        req.log.error(
          { err: error, user: caller?.user, method: req.method, path, status },
          'audit',
        );
      }
    });
    next();
  };
}
