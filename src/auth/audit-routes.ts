import { z } from 'zod';
import type { Database } from '../db/database.js';
import type { Api } from '../http/api.js';
import { endpoint } from '../http/endpoint.js';
import { pageOf, pageQuery } from '../http/pages.js';
import { json } from '../http/reply.js';
import { isoTime } from '../iso-time.js';
import { userSchema } from './caller.js';
import { auditReplySchema } from './replies.js';

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
  /** Number of equal requests within a few minutes. */
  times: number;
  last_at: number | null;
}

const auditQuery = z.strictObject({
  user: userSchema.optional(),
  ...pageQuery(100),
});

/** Mounts `GET /audit`, for admins. */
export function auditRoutes(api: Api, db: Database): void {
  const select = db.prepare<[Record<string, unknown>], Row>(
    `SELECT audit_id, at, user, token_id, address, method, path, status, subject, times, last_at
     FROM audit WHERE (@user IS NULL OR user = @user) AND (@before IS NULL OR audit_id < @before)
     ORDER BY audit_id DESC LIMIT @limit`,
  );
  endpoint(
    api,
    {
      method: 'get',
      path: '/audit',
      role: 'admin',
      summary: 'List changes and refused requests, newest first',
      query: auditQuery,
      reply: json(auditReplySchema),
      errors: [],
    },
    ({ query: { user, before, limit } }) => {
      const rows = select.all({ user: user ?? null, before: before ?? null, limit: limit + 1 });
      const { page, next_before } = pageOf(rows, limit, (row) => row.audit_id);
      const audit = page.map((row) => ({
        ...row,
        at: isoTime(row.at),
        last_at: isoTime(row.last_at ?? row.at),
      }));
      return { audit, next_before };
    },
  );
}
