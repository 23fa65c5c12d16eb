import { randomBytes } from 'node:crypto';
import { NODE_NAME } from '../../config/layout.js';
import type { OperatorClient } from '../slurm/client.js';
import type { Placeholder } from '../slurm/placeholder-jobs.js';
import type { GpuPlacement } from '../slurm/placements.js';
import type { GpuFleet } from './choose.js';

/** A GPU's placeholders bear its index and a random part, so that each can be told from the others; those of a worker its name, too. */
const commentPattern = /^jobrunner-hold:(?:(\w+)\/)?(\d{1,4}):[0-9a-f]+$/;

/**
 * Those for a part of a GPU start after the one for the whole: when everything on the GPU ends at once, as in a crash, that one
 * is to get it, and not one that leaves room beside it. Less than between two of the users' levels.
 */
const partNice = 50_000;

/** How often placeholders are put right in one go; a job may start while they are being submitted. */
const rounds = 5;

/**
 * The placeholders that a held GPU lacks, as shards. There must be: one for the part nobody has, which starts at once; one for
 * each job there, of that job's size, which starts when it ends, before anything else can; and one more for all of
 * the GPU that waits for good, and gets it when all others are lost. A placeholder too many is harmless and stays; to cancel it
 * might give away what it just got.
 *
 * @param jobs shards of the jobs that run there; all of the GPU's for a whole one
 */
export function missingPlaceholders(
  shardsPerGpu: number,
  jobs: readonly number[],
  holds: { running: readonly number[]; pending: readonly number[] },
): number[] {
  const held = [...jobs, ...holds.running].reduce((sum, shards) => sum + shards, 0);
  // The free part's first: one that is meant for a running job's would start there in its place.
  const free = held < shardsPerGpu ? [shardsPerGpu - held] : [];
  const wanted = [...free, ...jobs.filter((shards) => shards < shardsPerGpu), shardsPerGpu];
  const waiting = [...holds.pending];
  return wanted.filter((shards) => {
    const found = waiting.indexOf(shards);
    if (found !== -1) waiting.splice(found, 1);
    return found === -1;
  });
}

/**
 * Keeps jobs off held GPUs with placeholders: jobs of the API's user, in a partition that comes before all others, that take
 * what running jobs leave.
 */
export class Placeholders {
  constructor(
    private readonly slurm: OperatorClient,
    private readonly fleet: Pick<GpuFleet, 'shardsPerGpu' | 'gpuType'>,
    /** Whose GPUs they are. */
    private readonly node = NODE_NAME,
  ) {}

  /**
   * Brings the placeholders in step with the GPUs that are to be held. Placeholders of an earlier run are taken over.
   * @throws SlurmError; calling again goes on where it stopped.
   */
  async reconcile(held: ReadonlySet<number>): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      const holds = await this.#own();
      // Asked for after the placeholders: one that starts in between is known to be none of the jobs.
      const placements = held.size === 0 ? new Map<number, GpuPlacement>() : await this.#here();
      for (const hold of this.#surplus(holds, held, placements))
        await this.slurm.cancel(hold.slurmJobId);
      if (held.size === 0) return;
      const ours = new Set(holds.map(({ slurmJobId }) => slurmJobId));
      let submitted = 0;
      for (const index of held) {
        for (const shards of this.#missing(index, holds, placements, ours)) {
          const whose = this.node === NODE_NAME ? '' : `${this.node}/`;
          const comment = `jobrunner-hold:${whose}${index}:${randomBytes(8).toString('hex')}`;
          const { gpuType, shardsPerGpu } = this.fleet;
          const nice = shards === shardsPerGpu ? 0 : partNice;
          const gres = `shard:${gpuType}${index}:${shards}`;
          await this.slurm.submitPlaceholder(gres, comment, nice, this.node);
          submitted += 1;
        }
      }
      if (submitted === 0) return;
    }
  }

  /** Without those of other workers. */
  async #own(): Promise<Placeholder[]> {
    const holds = await this.slurm.placeholders(this.node);
    return holds.filter(
      ({ comment }) => (commentPattern.exec(comment)?.[1] ?? NODE_NAME) === this.node,
    );
  }

  /** Of the jobs on that node. */
  async #here(): Promise<Map<number, GpuPlacement>> {
    const placements = await this.slurm.placements();
    return new Map([...placements].filter(([, { node }]) => node === this.node));
  }

  /**
   * Placeholders of GPUs that are not held, larger than a GPU now is, or started by Slurm without what they ask for. The
   * waiting ones first: they would start in place of those that hold.
   */
  #surplus(
    holds: readonly Placeholder[],
    held: ReadonlySet<number>,
    placements: ReadonlyMap<number, GpuPlacement>,
  ): Placeholder[] {
    const unwanted = holds.filter(
      (hold) =>
        isLive(hold) &&
        (!held.has(gpuOf(hold) ?? -1) ||
          hold.shards > this.fleet.shardsPerGpu ||
          (hold.state === 'RUNNING' && !placements.has(hold.slurmJobId))),
    );
    const rank = ({ state }: Placeholder) => (state === 'PENDING' ? 0 : 1);
    return unwanted.sort((a, b) => rank(a) - rank(b));
  }

  #missing(
    index: number,
    holds: readonly Placeholder[],
    placements: ReadonlyMap<number, GpuPlacement>,
    ours: ReadonlySet<number>,
  ): number[] {
    const { shardsPerGpu } = this.fleet;
    const here = holds.filter((hold) => gpuOf(hold) === index && isLive(hold));
    const [pending, running] = [
      here.filter(({ state }) => state === 'PENDING'),
      here.filter(({ state, slurmJobId }) => state !== 'PENDING' && placements.has(slurmJobId)),
    ];
    const jobs = [...placements]
      .filter(([id, placement]) => !ours.has(id) && placement.indices.includes(index))
      .map(([, placement]) => placement.shards);
    const sizes = (some: Placeholder[]) => some.map(({ shards }) => shards);
    return missingPlaceholders(shardsPerGpu, jobs, {
      running: sizes(running),
      pending: sizes(pending),
    });
  }
}

function gpuOf({ comment }: Placeholder): number | undefined {
  const index = commentPattern.exec(comment)?.[2];
  return index === undefined ? undefined : Number(index);
}

/** One on its way out holds nothing any more that could be counted on. */
function isLive({ state }: Placeholder): boolean {
  return state === 'PENDING' || state === 'RUNNING' || state === 'CONFIGURING';
}
