import type { RequestHandler, Response } from 'express';
import type { Database } from '../db/database.js';
import { AuditLog } from './audit-log.js';
import type { Caller } from './caller.js';

/** Says what a request made or changed, for the audit log. */
export function nameSubject(res: Response, subject: string): void {
  res.locals['subject'] = subject;
}

/** Says that the request came with a token, though not in its header. */
export function tokenInBody(res: Response): void {
  res.locals['tokenInBody'] = true;
}

/**
 * Writes down who changed what, and who was refused: every request but those that only look and were allowed to. Wrong tokens are
 * limited in number, and requests without any leave nothing, so that strangers cannot fill the disk; {@link AuditLog} bounds the rest.
 */
export function audit(db: Database, now: () => number): RequestHandler {
  const auditLog = new AuditLog(db);
  return (req, res, next) => {
    // Routers below cut their own part off the path.
    const path = req.path.slice(0, 500);
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
        const { method, ip: address = '' } = req;
        auditLog.write({ at: now(), caller, address, method, path, status, subject });
      } catch (error) {
        // The disk is full. It was answered already; the service's log is the next best place.
        req.log.error(
          { err: error, user: caller?.user, method: req.method, path, status },
          'audit',
        );
      }
    });
    next();
  };
}
