import type { Socket } from 'node:net';
import type { Request, RequestHandler, Response } from 'express';
import { isOwnAddress, networkOf } from './addresses.js';
import { unixUserOf } from './local-connections.js';
import { cameOverOwnerSocket } from './owner-socket.js';

/** The sender of a request: everybody whose wrong tokens are counted together. */
export interface Sender {
  /** Whether only root and the API's own user can have sent it. */
  isOwner: boolean;
  /** Finds the name under which wrong tokens are counted: an address or a Unix user. */
  name: () => Promise<string>;
}

/**
 * Finds the senders of requests. A request from this machine is its Unix user's: jobs share the
 * machine's addresses with root, with each other, and with those who forward a port.
 */
export class Senders {
  readonly #jobUids: ReadonlySet<number>;
  readonly #unixUsers = new WeakMap<Socket, Promise<number | undefined>>();

  /** @param jobUids the Unix users of jobs */
  constructor(jobUids: Iterable<number>) {
    this.#jobUids = new Set(jobUids);
  }

  of(req: Request, res: Response): Sender {
    // With a header, the token in it decides.
    const isOwner = cameOverOwnerSocket(res) && req.get('authorization') === undefined;
    return { isOwner, name: () => this.#nameOf(req, res) };
  }

  async #nameOf(req: Request, res: Response): Promise<string> {
    if (cameOverOwnerSocket(res)) return 'the owner’s socket';
    const { socket, ip: address = '' } = req;
    // A trusted proxy names another address than its own.
    if (address !== socket.remoteAddress || !isOwnAddress(address)) return networkOf(address);
    const uid = await this.#unixUserOf(socket);
    return uid === undefined ? 'this machine' : `Unix user ${uid}`;
  }

  /**
   * Drops the `X-Forwarded-…` headers of jobs. Where a proxy on this machine is trusted, its
   * address is that of jobs, too.
   */
  ignoreForgery(): RequestHandler {
    return async (req, _res, next) => {
      const { remoteAddress: address } = req.socket;
      const isTrusted = req.app.get('trust proxy fn') as (address?: string) => boolean;
      const names = Object.keys(req.headers).filter((name) => name.startsWith('x-forwarded-'));
      if (
        names.length > 0 &&
        address !== undefined &&
        isTrusted(address) &&
        isOwnAddress(address)
      ) {
        const uid = await this.#unixUserOf(req.socket);
        if (uid === undefined || this.#jobUids.has(uid))
          for (const name of names) Reflect.deleteProperty(req.headers, name);
      }
      next();
    };
  }

  #unixUserOf(socket: Socket): Promise<number | undefined> {
    const known = this.#unixUsers.get(socket);
    if (known !== undefined) return known;
    const found = unixUserOf(socket);
    this.#unixUsers.set(socket, found);
    return found;
  }
}
