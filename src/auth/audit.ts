import { Router, type RequestHandler, type Response } from 'express';
import { z } from 'zod';
import type { Database } from '../db/database.js';
import { readQuery } from '../http/read-input.js';
import { AuditLog } from './audit-log.js';
import { adminsOnly, userSchema, type Caller } from './caller.js';
import { isoTime } from '../iso-time.js';

interface Row {
  audit_id: number;
  at: number;
  user: string | null;
  token_id: number | null;
  address: string;
  method: string;
  path: string;
  status: number;
  subject: string | null;
  /** How often within a few minutes. */
  times: number;
  last_at: number | null;
}

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

const auditQuery = z.strictObject({
  user: userSchema.optional(),
  before: z
    .string()
    .regex(/^\d{1,15}$/, 'expected the number of an entry')
    .transform(Number)
    .optional(),
  limit: z
    .string()
    .regex(/^\d{1,4}$/, 'expected a number up to 1000')
    .transform(Number)
    .refine((n) => n >= 1 && n <= 1000, 'expected a number from 1 to 1000')
    .default(100),
});

/** `GET /audit`, for admins: the newest first. */
export function auditRoutes(db: Database): Router {
  const router = Router();
  router.get('/', adminsOnly, (req, res) => {
    const { user, before, limit } = readQuery(auditQuery, req);
    const rows = db
      .prepare<[Record<string, unknown>], Row>(
        `SELECT audit_id, at, user, token_id, address, method, path, status, subject, times, last_at FROM audit WHERE (@user IS NULL OR user = @user) AND (@before IS NULL OR audit_id < @before)
         ORDER BY audit_id DESC LIMIT @limit`,
      )
      .all({ user: user ?? null, before: before ?? null, limit });
    res.json({
      audit: rows.map((row) => ({
        ...row,
        at: isoTime(row.at),
        last_at: isoTime(row.last_at ?? row.at),
      })),
    });
  });
  return router;
}
