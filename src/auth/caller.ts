import type { Response } from 'express';
import { z } from 'zod';

/**
 * `admin`: everything. `user`: their own jobs. `reader`: reads what that user may read, and changes
 * nothing.
 */
export const roleSchema = z.enum(['admin', 'user', 'reader'], {
  error: 'expected admin, user or reader',
});
export type Role = z.infer<typeof roleSchema>;

/**
 * One word in lower case, so that no two names look alike; Slurm's accounts have no capitals
 * either.
 */
export const userSchema = z
  .string({ error: 'expected the name of a user' })
  .transform((name) => name.toLowerCase())
  .refine(
    (name) => /^[a-z0-9][a-z0-9_.@-]{0,62}$/.test(name),
    'expected 1 to 63 letters, digits and _.@- such as alice',
  );

/**
 * Name of the service's owner, who sends `JR_AUTH_TOKEN`; jobs of the jobs file are the owner's
 * too.
 */
export const OWNER = 'admin';

const ingestPrefix = 'ingest:';

/**
 * Names the owner of the jobs that an ingest source submits. No user has such a name, since user
 * names hold no colon.
 */
export function ownerOfSource(source: string): string {
  return `${ingestPrefix}${source}`;
}

/** The owner of a job: a user, or an ingest source such as `ingest:gitlab`. */
export const ownerSchema = z.union([z.string().regex(/^ingest:[a-z0-9_-]{1,63}$/), userSchema], {
  error: 'expected the name of a user such as alice, or of an ingest source such as ingest:gitlab',
});

/** Tells whether this is the service's owner or an ingest source; neither has limits. */
export function isOwnerOrIngest(owner: string): boolean {
  return owner === OWNER || owner.startsWith(ingestPrefix);
}

/** The sender of a request. */
export interface Caller {
  user: string;
  role: Role;
  /** Null for `JR_AUTH_TOKEN`. */
  tokenId: number | null;
}

/** Returns the caller of a request. @throws Error on an endpoint that no guard checks */
export function callerOf(res: Response): Caller {
  const caller = res.locals['caller'] as Caller | undefined;
  if (caller === undefined) throw new Error('this endpoint has no guard that sets a caller');
  return caller;
}

/**
 * Remembers the caller of a request. @param stillHolds tells whether the request's token is still
 * valid
 */
export function setCaller(res: Response, caller: Caller, stillHolds = () => true): void {
  res.locals['caller'] = caller;
  res.locals['stillHolds'] = stillHolds;
}

/**
 * Tells whether the caller's token is still valid. Endless replies check this from time to time.
 */
export function stillHolds(res: Response): boolean {
  return (res.locals['stillHolds'] as () => boolean)();
}

/**
 * Returns the user whose things the caller may see; undefined means everybody's. A reader of the
 * owner, such as a screen on the wall, sees everybody's.
 */
export function scopeOf({ role, user }: Caller): string | undefined {
  const seesAll = role === 'admin' || (role === 'reader' && user === OWNER);
  return seesAll ? undefined : user;
}

export function mayUse(caller: Caller, owner: string): boolean {
  return caller.role === 'admin' || caller.user === owner;
}
