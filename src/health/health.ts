import { statfs } from 'node:fs/promises';
import type { Database } from '../db/database.js';
import type { SlurmClient } from '../slurm/client.js';

/** Below this a job's output or an upload would soon fail. */
const minimumFreeBytes = 512 * 1024 ** 2;
/** Anybody may ask; Slurm is asked at most this often. */
const rememberedMs = 1000;

export interface Health {
  /** `degraded`: jobs run, but not all of the service works. `down`: jobs cannot run. */
  status: 'ok' | 'degraded' | 'down';
  slurmctld: 'up' | 'down';
  slurmdbd: 'up' | 'down';
  /** Slurm's word for the node; `unknown` when slurmctld does not say. */
  node: string;
  disk: 'ok' | 'full' | 'unknown';
  database: 'ok' | 'failed';
}

export interface HealthParts {
  db: Database;
  slurm: SlurmClient;
  root: string;
  now: () => number;
}

/** Tells whether jobs can run, one word for each part. */
export class HealthCheck {
  #last: { at: number; health: Promise<Health> } | undefined;

  constructor(private readonly parts: HealthParts) {}

  /** Never throws: a part that cannot be asked is `down`. */
  check(): Promise<Health> {
    const now = this.parts.now();
    if (this.#last === undefined || now - this.#last.at > rememberedMs)
      this.#last = { at: now, health: this.#ask() };
    return this.#last.health;
  }

  async #ask(): Promise<Health> {
    const { slurm } = this.parts;
    const [node, slurmdbd, disk] = await Promise.all([
      answer(async () => (await slurm.nodes())[0]?.state ?? 'unknown', 'unknown'),
      answer(async () => (await slurm.pingAccounting(), 'up' as const), 'down'),
      answer(() => this.#disk(), 'unknown'),
    ]);
    const database = await answer(() => Promise.resolve(this.#database()), 'failed');
    const slurmctld = node === 'unknown' ? 'down' : 'up';
    const runs = slurmctld === 'up' && !/down|unk|fail|error/.test(node) && database === 'ok';
    const status = !runs || disk !== 'ok' ? 'down' : slurmdbd === 'up' ? 'ok' : 'degraded';
    return { status, slurmctld, slurmdbd, node, disk, database };
  }

  async #disk(): Promise<'ok' | 'full'> {
    const { bavail, bsize } = await statfs(this.parts.root);
    return bavail * bsize < minimumFreeBytes ? 'full' : 'ok';
  }

  #database(): 'ok' {
    this.parts.db.prepare('SELECT count(*) FROM jobs WHERE terminal = 0').get();
    return 'ok';
  }
}

/** The answer, or `otherwise` when the part fails: that it failed is what health has to tell. */
async function answer<T>(ask: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await ask();
  } catch {
    return otherwise;
  }
}
