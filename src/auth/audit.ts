import { Router, type RequestHandler, type Response } from 'express';
import { z } from 'zod';
import type { Database } from '../db/database.js';
import { readQuery } from '../http/read-input.js';
import { adminsOnly, userSchema, type Caller } from './caller.js';

/** So many are kept, the newest. */
const mostKept = 500_000;
const prunedEvery = 1000;

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
 * limited in number, and requests without any leave nothing, so that strangers cannot fill the disk.
 */
export function audit(db: Database, now: () => number): RequestHandler {
  const insert = db.prepare(
    `INSERT INTO audit (at, user, token_id, address, method, path, status, subject)
     VALUES (@at, @user, @token_id, @address, @method, @path, @status, @subject)`,
  );
  const prune = db.prepare('DELETE FROM audit WHERE audit_id <= ?');
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
        const { lastInsertRowid } = insert.run({
          at: now(),
          user: caller?.user ?? null,
          token_id: caller?.tokenId ?? null,
          address: req.ip ?? '',
          method: req.method,
          path,
          status,
          subject: (res.locals['subject'] as string | undefined) ?? null,
        });
        const id = Number(lastInsertRowid);
        if (id % prunedEvery === 0) prune.run(id - mostKept);
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
        `SELECT * FROM audit WHERE (@user IS NULL OR user = @user) AND (@before IS NULL OR audit_id < @before)
         ORDER BY audit_id DESC LIMIT @limit`,
      )
      .all({ user: user ?? null, before: before ?? null, limit });
    res.json({ audit: rows.map((row) => ({ ...row, at: new Date(row.at).toISOString() })) });
  });
  return router;
}
