import type { Logger } from 'pino';
import { AppError } from '../../errors.js';
import { Loops } from '../../every.js';
import { freeSpace, freeSpaceNow } from '../../free-space.js';
import { RepeatedError } from '../../repeated-error.js';
import type { OperatorClient } from '../slurm/client.js';
import type { SlurmNode } from '../slurm/nodes.js';

const pollMs = 1000;
/** Interval of {@link DiskWatchParts.keepRoom}. */
const roomMs = 60_000;
/** Free bytes below which the disk is full, and above which it is no longer. */
const fullBytes = 32 * 2 ** 20;
const freeBytes = 64 * 2 ** 20;
/** Prefix of Slurm's reason for a node drained here; only such a node is resumed here. */
const prefix = 'disk: ';
const reason = `${prefix}the disk of JR_ROOT is full; jobs start once there is room`;
/**
 * Slurm's own reason when a slurmd could not write a job's script (slurmctld's proc_req.c). Other
 * causes have it too, so it counts only while the disk is full and soon after.
 */
const launchFailed = /^batch job complete failure/i;
const soonMs = 60_000;

export interface DiskWatchParts {
  /** A folder on the disk. */
  path: string;
  /** Undefined on an external cluster, whose nodes are not ours. */
  slurm: Pick<OperatorClient, 'nodes' | 'drainNode' | 'resumeNode'> | undefined;
  /** Returns the names of the nodes whose slurmd writes on this disk. */
  nodesHere: () => string[];
  /** Makes the room again that is kept for the database. */
  keepRoom: () => Promise<void>;
  now: () => number;
  log: Logger;
}

/**
 * Watches the disk. While it is full, no job starts on the nodes of this machine, where it would
 * fail and Slurm would drain the node for good. Resumes them once there is room.
 */
export class DiskWatch {
  readonly #parts: DiskWatchParts;

  readonly #loops = new Loops();
  #isFull = false;
  #fullAt = -Infinity;
  #roomAt = -Infinity;
  /** Whether nodes may still be drained for the disk. An earlier process may have left them so. */
  #isPending = true;

  constructor(parts: DiskWatchParts) {
    this.#parts = parts;
  }

  start(): void {
    const { log, now } = this.#parts;
    const trouble = new RepeatedError(log, 'watching the disk failed', now);
    this.#loops.start(pollMs, () => this.#poll(), trouble);
  }

  close(): Promise<void> {
    return this.#loops.close();
  }

  /** @throws AppError disk_full while no job could start */
  ensureRoom(): void {
    // The last poll may be from before something was deleted.
    if (!this.#isFull || freeSpaceNow(this.#parts.path) >= freeBytes) return;
    throw new AppError(
      'disk_full',
      'the disk is full: delete datasets or jobs, then submit the job again',
    );
  }

  async #poll(): Promise<void> {
    const { path, now, log, keepRoom } = this.#parts;
    const free = await freeSpace(path);
    const wasFull = this.#isFull;
    this.#isFull = free < (wasFull ? freeBytes : fullBytes);
    if (this.#isFull) this.#fullAt = now();
    if (this.#isFull !== wasFull) {
      if (this.#isFull) log.error({ free }, 'the disk is full; no job starts on this machine');
      else log.info({ free }, 'the disk has room again');
      this.#isPending = true;
    }
    if (this.#isFull || this.#isPending) await this.#carryOut();
    if (this.#isFull || now() - this.#roomAt < roomMs) return;
    await keepRoom();
    this.#roomAt = now();
  }

  async #carryOut(): Promise<void> {
    const { slurm, nodesHere, log, now } = this.#parts;
    if (slurm === undefined) return;
    const isSoon = now() - this.#fullAt < soonMs;
    const names = new Set(nodesHere());
    for (const node of (await slurm.nodes()).filter(({ name }) => names.has(name))) {
      const isSlurms = isDrained(node) && isSoon && launchFailed.test(node.reason ?? '');
      const isOurs = isDrained(node) && node.reason?.startsWith(prefix) === true;
      if (this.#isFull) {
        const mayDrain = isSlurms || !(isDrained(node) || node.state.startsWith('down'));
        if (mayDrain) await slurm.drainNode(node.name, reason);
      } else if (isOurs || isSlurms) {
        await slurm.resumeNode(node.name);
        log.info({ node: node.name }, 'the disk has room again, so the node takes jobs');
      }
    }
    this.#isPending = isSoon;
  }
}

function isDrained({ state }: SlurmNode): boolean {
  return state.startsWith('drain');
}
