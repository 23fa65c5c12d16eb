import type { Socket } from 'node:net';
import type { Request, RequestHandler, Response } from 'express';
import { isOwnAddress, networkOf } from './addresses.js';
import { LocalConnections } from './local-connections.js';
import { cameOverOwnerSocket } from './owner-socket.js';

/** The sender of a request: everybody whose wrong tokens are counted together. */
export interface Sender {
  /** Whether only root and the API's own user can have sent it. */
  isOwner: boolean;
  /** Whether the connection begins on this machine, at a job, for example, or at a proxy. */
  isLocal: boolean;
  /**
   * Finds the name under which wrong tokens are counted: an address or a Unix user. For a local
   * connection this takes some milliseconds.
   */
  name: () => Promise<string>;
}

/**
 * Finds the senders of requests. A request from this machine is its Unix user's: jobs share the
 * machine's addresses with root, with each other, and with those who forward a port.
 */
export class Senders {
  readonly #jobUids: ReadonlySet<number>;
  readonly #connections = new LocalConnections();
  readonly #areLocal = new WeakMap<Socket, boolean>();

  /** @param jobUids the Unix users of jobs */
  constructor(jobUids: Iterable<number>) {
    this.#jobUids = new Set(jobUids);
  }

  of(req: Request, res: Response): Sender {
    const overSocket = cameOverOwnerSocket(res);
    return {
      // With a header, the token in it decides.
      isOwner: overSocket && req.get('authorization') === undefined,
      isLocal: !overSocket && this.#isLocal(req.socket),
      name: async () => (overSocket ? 'the owner’s socket' : this.#nameOf(req)),
    };
  }

  /**
   * Drops the `X-Forwarded-…` headers of jobs that change something, so that the audit log shows
   * their true address. Where a proxy on this machine is trusted, jobs have its address, too.
   */
  ignoreForgery(): RequestHandler {
    return async (req, _res, next) => {
      if (req.method !== 'GET' && req.method !== 'HEAD') await this.#dropForgery(req);
      next();
    };
  }

  async #nameOf(req: Request): Promise<string> {
    await this.#dropForgery(req);
    const { socket, ip: address = '' } = req;
    // A trusted proxy names another address than its own.
    if (address !== socket.remoteAddress || !this.#isLocal(socket)) return networkOf(address);
    const uid = await this.#connections.userOf(socket);
    return uid === undefined ? 'this machine' : `Unix user ${uid}`;
  }

  async #dropForgery(req: Request): Promise<void> {
    const { socket, ip } = req;
    if (ip === socket.remoteAddress || !this.#isLocal(socket)) return;
    const uid = await this.#connections.userOf(socket);
    if (uid !== undefined && !this.#jobUids.has(uid)) return;
    for (const name of Object.keys(req.headers))
      if (name.startsWith('x-forwarded-')) Reflect.deleteProperty(req.headers, name);
  }

  #isLocal(socket: Socket): boolean {
    const known = this.#areLocal.get(socket);
    if (known !== undefined) return known;
    const isLocal = socket.remoteAddress !== undefined && isOwnAddress(socket.remoteAddress);
    this.#areLocal.set(socket, isLocal);
    return isLocal;
  }
}
