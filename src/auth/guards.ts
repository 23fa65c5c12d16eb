import type { Request, Response } from 'express';
import { AppError } from '../errors.js';
import type { Guard, Role } from '../http/api.js';
import { bearerOf, type Authenticator } from './authenticator.js';
import { setCaller, type Caller } from './caller.js';

/** Asks for the token in the `Authorization` header; `callerOf` then tells whose it is. */
export function guardsOf(authenticator: Authenticator): Record<Exclude<Role, 'worker'>, Guard> {
  const identify = async (req: Request, res: Response): Promise<Caller> => {
    const caller = await authenticator.check(bearerOf(req), req.ip ?? '');
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
        throw new AppError('forbidden', 'the token of a reader changes nothing; use another');
    },
    admin: async (req, res) => {
      if ((await identify(req, res)).role !== 'admin')
        throw new AppError('forbidden', 'this takes the token of an admin');
    },
  };
}
