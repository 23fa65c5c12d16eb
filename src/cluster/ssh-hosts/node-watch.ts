import { readFileSync } from 'node:fs';
import { every } from '../../every.js';
import type { Logger } from 'pino';
import { errnoOf } from '../../errors.js';
import type { OperatorClient } from '../slurm/client.js';
import { SlurmError } from '../slurm/command.js';
import type { HostList } from './host-list.js';
import { hostsStatusSchema, type HostStatus } from './hosts-status.js';

const lookMs = 1000;
/** What Slurm's reason begins with when a node was drained here: only such a one is resumed here. */
const prefix = 'ssh: ';
const mostReasonLength = 150;

export interface NodeWatchParts {
  slurm: Pick<OperatorClient, 'nodes' | 'drainNode' | 'resumeNode'>;
  hosts: HostList;
  /** What the watch over the SSH hosts writes. */
  path: string;
  log: Logger;
}

/** Drains the nodes of SSH hosts that do not answer, with the reason, and takes them back when they do. */
export class NodeWatch {
  readonly #closing = new AbortController();
  #loop: Promise<void> | undefined;
  #statuses = new Map<string, HostStatus>();
  #seen = '';
  /** Whether what was seen is carried out. */
  #isDone = true;

  constructor(private readonly parts: NodeWatchParts) {}

  start(): void {
    this.#loop = every(
      lookMs,
      this.#closing.signal,
      () => this.#look(),
      (error) => {
        // Once for each fault: Slurm may be away for long.
        if (this.#isDone || !(error instanceof SlurmError))
          this.parts.log.warn({ err: error }, 'nodes of SSH hosts could not be drained or resumed');
        this.#isDone = false;
      },
    );
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  /** What the watch last found of that host. */
  statusOf(name: string): HostStatus | undefined {
    return this.#statuses.get(name);
  }

  async #look(): Promise<void> {
    if (this.parts.hosts.all().length === 0) return;
    const text = this.#read();
    if (text === this.#seen && this.#isDone) return;
    const { hosts } = hostsStatusSchema.parse(JSON.parse(text));
    this.#statuses = new Map(hosts.map((host) => [host.name, host]));
    this.#seen = text;
    await this.#carryOut();
    this.#isDone = true;
  }

  async #carryOut(): Promise<void> {
    const { slurm, log } = this.parts;
    const open = new Set(this.parts.hosts.open().map((host) => host.name));
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
      return readFileSync(this.parts.path, 'utf8');
    } catch (error) {
      // The watch has not looked yet.
      if (errnoOf(error) === 'ENOENT') return '{"hosts":[]}';
      throw error;
    }
  }
}

/** One line: it goes to Slurm, and from there into tables. */
function reasonOf({ reason }: HostStatus): string {
  const plain = (reason ?? 'does not answer').replace(/[^\x20-\x7e]+/g, ' ').replace(/\s+/g, ' ');
  return `${prefix}${plain}`.trim().slice(0, mostReasonLength).trim();
}
