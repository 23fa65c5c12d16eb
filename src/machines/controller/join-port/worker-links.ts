import type { TLSSocket } from 'node:tls';
import { KeyLock } from '../../../key-lock.js';
import { WorkerLink, type LinkPorts } from './worker-link.js';

/** The links of all workers, by name. A worker's addresses stay open while it is away. */
export class WorkerLinks {
  readonly #ports: LinkPorts;
  readonly #say: (line: string) => void;

  readonly #links = new Map<string, WorkerLink>();
  readonly #turns = new KeyLock();

  constructor(ports: LinkPorts, say: (line: string) => void) {
    this.#ports = ports;
    this.#say = say;
  }

  /**
   * Listens for slurmctld in that worker's place.
   * @returns takes the worker's connection
   */
  async prepare(name: string): Promise<(socket: TLSSocket) => void> {
    const link = await this.#turns.hold(name, async () => {
      const link = this.#links.get(name) ?? (await WorkerLink.open(name, this.#ports, this.#say));
      this.#links.set(name, link);
      return link;
    });
    return (socket) => link.attach(socket);
  }

  /** Ends the worker's present connection, if any. */
  end(name: string | undefined): void {
    this.#links.get(name ?? '')?.detach();
  }
}
