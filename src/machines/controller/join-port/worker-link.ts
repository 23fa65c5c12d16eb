import {
  constants,
  performServerHandshake,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect, type Server } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { carry } from '../../link/carry.js';
import { Heartbeat } from '../../link/heartbeat.js';
import {
  linkSilenceMs,
  maxSessionMemory,
  maxStreams,
  streamPaths,
  workerAddress,
} from '../../link/link.js';
import { listenForSlurm } from '../../link/listen-for-slurm.js';
import { WaitingSockets } from '../../link/waiting-sockets.js';

export interface LinkPorts {
  slurmctld: number;
  /** Where slurmctld listens. */
  address: string;
  /** Where slurmctld finds the workers' slurmds, each at its own address. */
  workerSlurmd: number;
}

/**
 * The controller's end of one worker's link. The worker reaches slurmctld through it, and nothing
 * else here; slurmctld reaches that worker's slurmd.
 */
export class WorkerLink {
  readonly #name: string;
  readonly #ports: LinkPorts;
  readonly #say: (line: string) => void;

  readonly #waiting = new WaitingSockets();
  #server: Server | undefined;
  #session: ServerHttp2Session | undefined;
  #heartbeat: Heartbeat | undefined;
  #spare: ServerHttp2Stream[] = [];

  private constructor(name: string, ports: LinkPorts, say: (line: string) => void) {
    this.#name = name;
    this.#ports = ports;
    this.#say = say;
  }

  /** Listens for slurmctld. @throws Error when the address is taken */
  static async open(
    name: string,
    ports: LinkPorts,
    say: (line: string) => void,
  ): Promise<WorkerLink> {
    const link = new WorkerLink(name, ports, say);
    const at = { host: workerAddress(name), port: ports.workerSlurmd };
    link.#server = await listenForSlurm(at, (socket) => {
      link.#waiting.add(socket);
      link.#match();
    });
    return link;
  }

  /** Carries all connections over this one from now on; one before it counts as broken. */
  attach(socket: TLSSocket): void {
    this.detach();
    const session = performServerHandshake(socket, {
      maxSessionMemory,
      settings: { enablePush: false, maxConcurrentStreams: maxStreams },
    });
    this.#session = session;
    this.#heartbeat = new Heartbeat(session, linkSilenceMs, () => this.#match());
    let why = '';
    session.on('error', (error: Error) => (why = `: ${error.message}`));
    session.once('close', () => {
      // The end of an older one says nothing of this worker.
      if (this.#session !== session) return;
      this.detach();
      this.#say(`the link of ${this.#name} has ended${why}`);
    });
    session.on('stream', (stream, headers) => {
      if (this.#session === session) this.#take(stream, headers);
      else stream.close(constants.NGHTTP2_CANCEL);
    });
    this.#say(`the link of ${this.#name} is up`);
  }

  /** Ends the present connection, if any. */
  detach(): void {
    const session = this.#session;
    this.#session = undefined;
    this.#spare = [];
    session?.destroy();
  }

  close(): void {
    this.detach();
    this.#waiting.close();
    this.#server?.close();
  }

  #take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    // Its `close` follows.
    stream.on('error', () => undefined);
    const path = headers[constants.HTTP2_HEADER_PATH];
    if (path === streamPaths.slurmctld) {
      stream.respond({ [constants.HTTP2_HEADER_STATUS]: 200 });
      // slurmctld takes the address that a worker registers from for that of its slurmd.
      const from = workerAddress(this.#name);
      const to = { host: this.#ports.address, port: this.#ports.slurmctld };
      carry(connect({ ...to, localAddress: from, allowHalfOpen: true }), stream);
    } else if (path === streamPaths.slurmd) {
      this.#spare.push(stream);
      stream.once('close', () => (this.#spare = this.#spare.filter((one) => one !== stream)));
      this.#match();
    } else stream.respond({ [constants.HTTP2_HEADER_STATUS]: 404 }, { endStream: true });
  }

  /**
   * Joins waiting connections with streams that the worker has opened ahead. While the worker is
   * silent they wait: Slurm does not send again all that a cut breaks off.
   */
  #match(): void {
    if (this.#heartbeat?.isSilent === true) return;
    for (;;) {
      // A broken one is still among them until its `close`.
      this.#spare = this.#spare.filter((one) => !one.closed && !one.destroyed);
      const [stream] = this.#spare;
      const socket = stream && this.#waiting.next();
      if (stream === undefined || socket === undefined) return;
      this.#spare.shift();
      stream.respond({ [constants.HTTP2_HEADER_STATUS]: 200 });
      carry(socket, stream);
    }
  }
}
