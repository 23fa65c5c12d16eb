import { mkdirSync, rmSync, statSync } from 'node:fs';
import type { RequestListener, Server } from 'node:http';
import { dirname } from 'node:path';
import type { Express, Response } from 'express';
import { listen } from '../http/server.js';

/**
 * Listens at a Unix socket, in a folder that only root and the API's user can enter. Both can read
 * the owner's token, so a call over this socket is the owner's and needs none.
 * @throws Error when others can enter the folder
 */
export async function listenForOwner(app: Express, path: string): Promise<Server> {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { uid, mode } = statSync(folder);
  if ((uid !== 0 && uid !== process.getuid?.()) || (mode & 0o077) !== 0)
    throw new Error(`${folder}: expected a folder that only the API's user can enter (mode 700)`);
  // A process that was killed leaves its socket.
  rmSync(path, { force: true });
  const mark: RequestListener = (req, res) => {
    (res as Response).locals = { overOwnerSocket: true };
    app(req, res);
  };
  return listen(mark, { path });
}

/** Tells whether the request came over the owner's socket. */
export function cameOverOwnerSocket(res: Response): boolean {
  return res.locals['overOwnerSocket'] === true;
}
