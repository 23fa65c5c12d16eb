import type { Response } from 'express';
import { z } from 'zod';

/** `admin`: everything. `user`: their own jobs. `reader`: looks at what that user may look at, and changes nothing. */
export const roleSchema = z.enum(['admin', 'user', 'reader'], {
  error: 'expected admin, user or reader',
});
export type Role = z.infer<typeof roleSchema>;

/** Names of users are one word in lower case, so that no two look alike; Slurm's accounts know no capitals either. */
export const userSchema = z
  .string({ error: 'expected the name of a user' })
  .transform((name) => name.toLowerCase())
  .refine(
    (name) => /^[a-z0-9][a-z0-9_.@-]{0,62}$/.test(name),
    'expected 1 to 63 letters, digits and _.@- such as alice',
  );

/** Whose is what comes in without a user of its own: by `JR_AUTH_TOKEN`, or from a file on the box. */
export const BOX_OWNER = 'admin';

const routePrefix = 'ingest:';

/** Whose the jobs are that come in by a route. No user is ever called so, since their names hold no colon. */
export function ownerOfSource(route: string): string {
  return `${routePrefix}${route}`;
}

/** Whether that is nobody's name but the box's own, for whom no user's limits hold. */
export function isOfTheBox(owner: string): boolean {
  return owner === BOX_OWNER || owner.startsWith(routePrefix);
}

/** Who sent a request. */
export interface Caller {
  user: string;
  role: Role;
  /** Null for `JR_AUTH_TOKEN`. */
  tokenId: number | null;
}

/** @throws Error on a route that stands above the check. */
export function callerOf(res: Response): Caller {
  const caller = res.locals['caller'] as Caller | undefined;
  if (caller === undefined) throw new Error('this route asks for nobody’s token');
  return caller;
}

/** @param stillHolds whether the token that the request came with is still good */
export function setCaller(res: Response, caller: Caller, stillHolds = () => true): void {
  res.locals['caller'] = caller;
  res.locals['stillHolds'] = stillHolds;
}

/** To be asked from time to time by a reply that has no end of its own. */
export function stillHolds(res: Response): boolean {
  return (res.locals['stillHolds'] as () => boolean)();
}

/** Whose things the caller gets to see: undefined for everybody's. */
export function scopeOf({ role, user }: Caller): string | undefined {
  return role === 'admin' ? undefined : user;
}

export function mayUse(caller: Caller, owner: string): boolean {
  return caller.role === 'admin' || caller.user === owner;
}
