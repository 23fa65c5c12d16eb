import type { Request, Response } from 'express';
import { AppError } from '../errors.js';
import type { Guard, Role } from '../http/api.js';
import { bearerOf, type Authenticator } from './authenticator.js';
import { setCaller, type Caller } from './caller.js';
import type { Senders } from './senders.js';

/**
 * Makes the guard of each role; they read the token in the `Authorization` header and set the
 * caller.
 */
export function guardsOf(
  authenticator: Authenticator,
  senders: Senders,
): Record<Exclude<Role, 'worker'>, Guard> {
  const identify = async (req: Request, res: Response): Promise<Caller> => {
    const caller = await authenticator.check(bearerOf(req), senders.of(req, res));
    setCaller(res, caller, () => authenticator.stillHolds(caller));
    return caller;
  };
  return {
    public: () => undefined,
    form: () => undefined,
    reader: async (req, res) => {
      await identify(req, res);
    },
    user: async (req, res) => {
      if ((await identify(req, res)).role === 'reader')
        throw new AppError('forbidden', 'a reader’s token cannot change anything; use another');
    },
    admin: async (req, res) => {
      if ((await identify(req, res)).role !== 'admin')
        throw new AppError('forbidden', 'this call requires an admin’s token');
    },
  };
}
