import type { Socket } from 'node:net';

/** As long as Slurm's daemons wait for an answer (slurm.conf(5), MessageTimeout). */
const waitMs = 10_000;
const maxWaiting = 256;

/**
 * Connections of Slurm's daemons that wait for their link: a short cut must not fail a message. The
 * first one waits longest.
 */
export class WaitingSockets {
  readonly #sockets = new Map<Socket, NodeJS.Timeout>();

  /** @param socket must be paused, so that nothing of it is lost */
  add(socket: Socket): void {
    if (this.#sockets.size >= maxWaiting) {
      socket.resetAndDestroy();
      return;
    }
    const timer = setTimeout(() => {
      this.#sockets.delete(socket);
      socket.resetAndDestroy();
    }, waitMs);
    this.#sockets.set(socket, timer);
  }

  /** Takes the first one out. */
  next(): Socket | undefined {
    for (const [socket, timer] of this.#sockets) {
      clearTimeout(timer);
      this.#sockets.delete(socket);
      return socket;
    }
    return undefined;
  }

  /** Resets all. */
  close(): void {
    for (let socket = this.next(); socket; socket = this.next()) socket.resetAndDestroy();
  }
}
