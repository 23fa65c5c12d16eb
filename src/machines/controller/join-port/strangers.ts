import type { Socket } from 'node:net';
import { networkOf } from '../../../auth/addresses.js';

export interface StrangerLimits {
  /** Milliseconds until a connection must have shown a token. */
  maxMs: number;
  maxByNetwork: number;
  /** Beyond, the oldest goes. */
  maxInTotal: number;
}

/** A worker shows its token within a second or two; a slow line takes a few more. */
const defaultLimits = { maxMs: 15_000, maxByNetwork: 64, maxInTotal: 512 };

interface Stranger {
  socket: Socket;
  network: string;
  timer: NodeJS.Timeout;
}

/**
 * Connections that have not shown a token yet. Nobody can hold them for long, or many of them: they
 * would take the join port from the workers.
 */
export class Strangers {
  readonly #limits: StrangerLimits;

  /** By addresses and port, the oldest first. */
  readonly #open = new Map<string, Stranger>();
  readonly #byNetwork = new Map<string, number>();

  constructor(limits: StrangerLimits = defaultLimits) {
    this.#limits = limits;
  }

  /** Counts a new connection, before its TLS handshake, or ends it. */
  take(socket: Socket): void {
    // A client that is gone already has no address any more.
    if (socket.remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    const { maxMs, maxByNetwork, maxInTotal } = this.#limits;
    const key = keyOf(socket);
    // The kernel reuses a port before Node tells of the end of its connection before.
    this.#forget(key);
    const network = networkOf(socket.remoteAddress);
    const count = this.#byNetwork.get(network) ?? 0;
    if (count >= maxByNetwork) {
      socket.resetAndDestroy();
      return;
    }
    if (this.#open.size >= maxInTotal) this.#end(this.#open.keys().next().value);
    const timer = setTimeout(() => this.#end(key), maxMs);
    this.#open.set(key, { socket, network, timer });
    this.#byNetwork.set(network, count + 1);
    socket.once('close', () => this.#forget(key, socket));
  }

  /** Stops counting a connection that has shown a token. */
  trust(socket: Socket): void {
    this.#forget(keyOf(socket));
  }

  #end(key: string | undefined): void {
    const stranger = key === undefined ? undefined : this.#open.get(key);
    if (key === undefined || stranger === undefined) return;
    this.#forget(key);
    stranger.socket.resetAndDestroy();
  }

  /** @param socket of the connection, when a later one may have the same address and port */
  #forget(key: string, socket?: Socket): void {
    const stranger = this.#open.get(key);
    if (stranger === undefined || (socket !== undefined && stranger.socket !== socket)) return;
    clearTimeout(stranger.timer);
    this.#open.delete(key);
    const left = (this.#byNetwork.get(stranger.network) ?? 0) - 1;
    if (left > 0) this.#byNetwork.set(stranger.network, left);
    else this.#byNetwork.delete(stranger.network);
  }
}

/** TLS wraps the socket in another object, so the connection is known by its addresses. */
const keyOf = ({ remoteAddress, remotePort, localAddress }: Socket) =>
  `${remoteAddress} ${remotePort} ${localAddress}`;
