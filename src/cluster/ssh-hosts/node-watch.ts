import { readFileSync } from 'node:fs';
import { Loops } from '../../every.js';
import type { Logger } from 'pino';
import { errnoOf } from '../../errors.js';
import type { OperatorClient } from '../slurm/client.js';
import { SlurmError } from '../slurm/command.js';
import type { HostList } from './host-list.js';
import { hostsStatusSchema, type HostStatus } from './hosts-status.js';

const pollMs = 1000;
/** Prefix of Slurm's reason for a node drained here; only such a node is resumed here. */
const prefix = 'ssh: ';
const maxReasonLength = 150;

export interface NodeWatchParts {
  slurm: Pick<OperatorClient, 'nodes' | 'drainNode' | 'resumeNode'>;
  hosts: HostList;
  /** File that the watch over the SSH hosts writes. */
  path: string;
  log: Logger;
}

/**
 * Drains the nodes of SSH hosts that do not answer, with the reason, and resumes them when they do.
 */
export class NodeWatch {
  readonly #parts: NodeWatchParts;

  readonly #loops = new Loops();
  #statuses = new Map<string, HostStatus>();
  #seen = '';
  /** Whether the last status was carried out. */
  #isDone = true;

  constructor(parts: NodeWatchParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#loops.start(
      pollMs,
      () => this.#poll(),
      (error) => {
        // Logs each fault once: Slurm may be down for long.
        if (this.#isDone || !(error instanceof SlurmError))
          this.#parts.log.warn({ err: error }, 'could not drain or resume the nodes of SSH hosts');
        this.#isDone = false;
      },
    );
  }

  close(): Promise<void> {
    return this.#loops.close();
  }

  /** Returns the watch's last status of that host. */
  statusOf(name: string): HostStatus | undefined {
    return this.#statuses.get(name);
  }

  async #poll(): Promise<void> {
    if (this.#parts.hosts.all().length === 0) return;
    const text = this.#read();
    if (text === this.#seen && this.#isDone) return;
    const { hosts } = hostsStatusSchema.parse(JSON.parse(text));
    this.#statuses = new Map(hosts.map((host) => [host.name, host]));
    this.#seen = text;
    await this.#carryOut();
    this.#isDone = true;
  }

  async #carryOut(): Promise<void> {
    const { slurm, log } = this.#parts;
    const open = new Set(this.#parts.hosts.open().map((host) => host.name));
    for (const node of await slurm.nodes()) {
      const status = this.#statuses.get(node.name);
      if (status === undefined || !open.has(node.name)) continue;
      const isDrained = /drain/.test(node.state);
      const isOurs = node.reason?.startsWith(prefix) === true;
      if (status.ok && isDrained && isOurs) {
        await slurm.resumeNode(node.name);
        log.info({ node: node.name }, 'an SSH host answers again and takes jobs');
      }
      const reason = reasonOf(status);
      if (!status.ok && (isDrained ? isOurs && node.reason !== reason : true)) {
        await slurm.drainNode(node.name, reason);
        log.warn({ node: node.name, reason }, 'an SSH host takes no more jobs');
      }
    }
  }

  #read(): string {
    try {
      return readFileSync(this.#parts.path, 'utf8');
    } catch (error) {
      // The watch has not written its first status yet.
      if (errnoOf(error) === 'ENOENT') return '{"hosts":[]}';
      throw error;
    }
  }
}

/** Formats the reason as one line, since Slurm prints it in tables. */
function reasonOf({ reason }: HostStatus): string {
  const plain = (reason ?? 'does not answer').replace(/[^\x20-\x7e]+/g, ' ').replace(/\s+/g, ' ');
  return `${prefix}${plain}`.trim().slice(0, maxReasonLength).trim();
}
