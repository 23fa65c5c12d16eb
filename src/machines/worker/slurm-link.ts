import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { connect as connectHttp2, constants, type ClientHttp2Session } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import type { Logger } from 'pino';
import { carry } from '../link/carry.js';
import { Heartbeat } from '../link/heartbeat.js';
import {
  linkPath,
  linkProtocol,
  linkSilenceMs,
  maxSessionMemory,
  spareStreams,
  streamPaths,
} from '../link/link.js';
import { listenForSlurm } from '../link/listen-for-slurm.js';
import { WaitingSockets } from '../link/waiting-sockets.js';
import { connectPinned, silenceError, type LinkTarget } from './pinned-connection.js';

const refusedMs = 1000;
const firstWaitMs = 250;
/** A controller that starts waits 20 s for its workers (controller/worker-gpus.ts). */
const maxWaitMs = 5000;

export interface SlurmLinkParts {
  target: LinkTarget;
  token: string;
  ports: {
    /** Where this worker's slurmd finds slurmctld: we listen there. */
    slurmctld: number;
    slurmd: number;
  };
  /** Where slurmd listens. */
  address: string;
  /** Is called whenever the link has come up. */
  onUp: () => void;
  log: Logger;
}

/**
 * The worker's end of its link: it carries the connections of this worker's Slurm to slurmctld, and
 * those of slurmctld to this worker's slurmd, over one connection to the join port.
 */
export class SlurmLink {
  readonly #parts: SlurmLinkParts;

  readonly #waiting = new WaitingSockets();
  #session: ClientHttp2Session | undefined;
  #heartbeat: Heartbeat | undefined;

  constructor(parts: SlurmLinkParts) {
    this.#parts = parts;
  }

  /** Keeps the link up until the process ends. @throws Error when the local port is taken */
  async run(): Promise<never> {
    const { ports, log, target } = this.#parts;
    await listenForSlurm({ host: '127.0.0.1', port: ports.slurmctld }, (socket) => {
      this.#waiting.add(socket);
      this.#match();
    });
    const at = `${target.host}:${target.port}`;
    for (let waitMs = firstWaitMs; ; waitMs = Math.min(maxWaitMs, waitMs * 2)) {
      try {
        await this.#useUntilEnd(await this.#open());
        waitMs = firstWaitMs;
        log.warn(`the link to ${at} has ended; connecting again`);
      } catch (error) {
        log.warn({ err: error }, `the controller at ${at} gives no link; trying again`);
      }
      // Not all workers at once after a restart of the controller.
      await delay(waitMs * (0.5 + Math.random() / 2));
    }
  }

  /** Connects to the join port and makes the connection a link. @throws Error */
  async #open(): Promise<TLSSocket> {
    const { target, token } = this.#parts;
    const socket = await new Promise<TLSSocket>((resolve, reject) => {
      connectPinned(target, (error, socket) => (error ? reject(error) : resolve(socket)));
    });
    const asked = request({
      createConnection: () => socket,
      path: linkPath,
      timeout: target.silenceMs,
      headers: {
        Host: target.host,
        Authorization: `Bearer ${token}`,
        Connection: 'Upgrade',
        Upgrade: linkProtocol,
      },
    });
    asked.once('timeout', () => asked.destroy(silenceError(target.silenceMs)));
    const accepted = once(asked, 'upgrade').then(() => undefined);
    const refused = once(asked, 'response').then(([reply]) => reply as IncomingMessage);
    // An error rejects both.
    refused.catch(() => undefined);
    accepted.catch(() => undefined);
    asked.end();
    const refusal = await Promise.race([accepted, refused]);
    if (refusal === undefined) return socket;
    throw new Error(`HTTP ${refusal.statusCode}: ${(await text(refusal)).trim()}`);
  }

  async #useUntilEnd(socket: TLSSocket): Promise<void> {
    socket.setTimeout(0);
    socket.setNoDelay(true);
    const session = connectHttp2('http://controller', {
      createConnection: () => socket,
      maxSessionMemory,
      settings: { enablePush: false },
    });
    const { target, log } = this.#parts;
    const deadAfterMs = Math.min(target.silenceMs, linkSilenceMs);
    this.#heartbeat = new Heartbeat(session, deadAfterMs, () => this.#match());
    session.on('error', (error) => log.warn({ err: error }, 'the link broke'));
    const ended = new Promise<void>((resolve) => session.once('close', () => resolve()));
    this.#session = session;
    log.info('the link to the controller is up');
    this.#parts.onUp();
    for (let n = 0; n < spareStreams; n++) this.#openAhead(session);
    this.#match();
    await ended;
    this.#session = undefined;
  }

  /**
   * Opens a stream for the controller's next connection to slurmd, and another once it is used, or
   * some time after it was refused.
   */
  #openAhead(session: ClientHttp2Session): void {
    if (session.destroyed || session.closed) return;
    const stream = streamOf(session, streamPaths.slurmd);
    let isUsed = false;
    // Its `close` follows.
    stream.on('error', () => undefined);
    stream.once('close', () => {
      if (!isUsed) setTimeout(() => this.#openAhead(session), refusedMs);
    });
    stream.once('response', () => {
      isUsed = true;
      this.#openAhead(session);
      const { address: host, ports } = this.#parts;
      carry(connect({ host, port: ports.slurmd, allowHalfOpen: true }), stream);
    });
  }

  /** Sends waiting connections on while the link is up and the controller answers. */
  #match(): void {
    const session = this.#session;
    if (this.#heartbeat?.isSilent === true) return;
    if (session === undefined || session.destroyed || session.closed) return;
    for (let socket = this.#waiting.next(); socket; socket = this.#waiting.next())
      this.#toSlurmctld(session, socket);
  }

  #toSlurmctld(session: ClientHttp2Session, socket: Socket): void {
    carry(socket, streamOf(session, streamPaths.slurmctld));
  }
}

function streamOf(session: ClientHttp2Session, path: string) {
  return session.request(
    { [constants.HTTP2_HEADER_METHOD]: 'POST', [constants.HTTP2_HEADER_PATH]: path },
    { endStream: false },
  );
}
