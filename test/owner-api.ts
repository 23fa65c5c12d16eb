import { OWNER, setCaller } from '../src/auth/caller.js';
import { Api, type Guard } from '../src/http/api.js';

const asOwner: Guard = (_req, res) => setCaller(res, { user: OWNER, role: 'admin', tokenId: null });

/** Asks for no token: every request is the owner's. */
export function ownerApi(): Api {
  return new Api({ reader: asOwner, user: asOwner, admin: asOwner });
}
