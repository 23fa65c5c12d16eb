import { randomBytes } from 'node:crypto';
import { NODE_NAME } from '../../config/layout.js';
import type { OperatorClient } from '../slurm/client.js';
import type { Placeholder } from '../slurm/placeholder-jobs.js';
import type { GpuPlacement } from '../slurm/placements.js';
import type { GpuFleet } from './choose.js';

/**
 * Matches a placeholder's comment: the worker's name if any, the GPU's index, and a random part
 * that identifies the placeholder.
 */
const commentPattern = /^jobrunner-hold:(?:(\w+)\/)?(\d{1,4}):[0-9a-f]+$/;

/**
 * Lets placeholders for a part of a GPU start after the one for the whole GPU. If everything on the
 * GPU ends at once, as in a crash, the whole one must get it. A smaller one would leave room for a
 * job. Less than the distance between two levels of users' priorities.
 */
const partNice = 50_000;

/** Rounds of one reconciliation; a job may start while placeholders are being submitted. */
const maxRounds = 5;

/**
 * Returns the placeholders that a closed GPU lacks, as shards. There must be one for the free part,
 * which starts at once. There must be one for each job there, of that job's size, which starts when
 * the job ends, before anything else. One more for the whole GPU always waits, and gets the GPU
 * when all others are lost. A surplus placeholder is harmless and stays; cancelling it might
 * release what it just got.
 *
 * @param jobs shards of the jobs that run there; all of the GPU's for a whole one
 */
export function missingPlaceholders(
  shardsPerGpu: number,
  jobs: readonly number[],
  placeholders: { running: readonly number[]; pending: readonly number[] },
): number[] {
  const taken = [...jobs, ...placeholders.running].reduce((sum, shards) => sum + shards, 0);
  // The free part's comes first: one meant for a running job would start in its place.
  const free = taken < shardsPerGpu ? [shardsPerGpu - taken] : [];
  const wanted = [...free, ...jobs.filter((shards) => shards < shardsPerGpu), shardsPerGpu];
  const waiting = [...placeholders.pending];
  return wanted.filter((shards) => {
    const found = waiting.indexOf(shards);
    if (found !== -1) waiting.splice(found, 1);
    return found === -1;
  });
}

/**
 * Closes GPUs with placeholders: jobs of the API's user, in a partition that precedes all others.
 * They take what running jobs leave.
 */
export class Placeholders {
  readonly #slurm: OperatorClient;
  readonly #fleet: Pick<GpuFleet, 'shardsPerGpu' | 'gpuType'>;
  /** Node of the GPUs. */
  readonly #node: string;

  constructor(
    slurm: OperatorClient,
    fleet: Pick<GpuFleet, 'shardsPerGpu' | 'gpuType'>,
    node: string,
  ) {
    this.#slurm = slurm;
    this.#fleet = fleet;
    this.#node = node;
  }

  /**
   * Makes the placeholders match the GPUs that are to be closed. Takes over placeholders of an
   * earlier process.
   * @throws SlurmError; another call continues where this one stopped
   */
  async reconcile(closed: ReadonlySet<number>): Promise<void> {
    for (let round = 0; round < maxRounds; round++) {
      const placeholders = await this.#own();
      // Asks after listing the placeholders, so that one that starts in between is not taken for a
      // job.
      const placements = closed.size === 0 ? new Map<number, GpuPlacement>() : await this.#here();
      for (const surplus of this.#surplus(placeholders, closed, placements))
        await this.#slurm.cancel(surplus.slurmJobId);
      if (closed.size === 0) return;
      const ours = new Set(placeholders.map(({ slurmJobId }) => slurmJobId));
      let submitted = 0;
      for (const index of closed) {
        for (const shards of this.#missing(index, placeholders, placements, ours)) {
          const whose = this.#node === NODE_NAME ? '' : `${this.#node}/`;
          const comment = `jobrunner-hold:${whose}${index}:${randomBytes(8).toString('hex')}`;
          const { gpuType, shardsPerGpu } = this.#fleet;
          const nice = shards === shardsPerGpu ? 0 : partNice;
          const gres = `shard:${gpuType}${index}:${shards}`;
          await this.#slurm.submitPlaceholder(gres, comment, nice, this.#node);
          submitted += 1;
        }
      }
      if (submitted === 0) return;
    }
  }

  /** Lists this node's placeholders, without those of other workers. */
  async #own(): Promise<Placeholder[]> {
    const placeholders = await this.#slurm.placeholders(this.#node);
    return placeholders.filter(
      ({ comment }) => (commentPattern.exec(comment)?.[1] ?? NODE_NAME) === this.#node,
    );
  }

  /** Returns the GPUs of the jobs on this node. */
  async #here(): Promise<Map<number, GpuPlacement>> {
    const placements = await this.#slurm.placements();
    return new Map([...placements].filter(([, { node }]) => node === this.#node));
  }

  /**
   * Finds placeholders of open GPUs, those larger than a GPU now is, and those that Slurm started
   * without their GPU. Waiting ones come first: otherwise they would start in place of cancelled
   * ones.
   */
  #surplus(
    placeholders: readonly Placeholder[],
    closed: ReadonlySet<number>,
    placements: ReadonlyMap<number, GpuPlacement>,
  ): Placeholder[] {
    const unwanted = placeholders.filter(
      (one) =>
        isLive(one) &&
        (!closed.has(gpuOf(one) ?? -1) ||
          one.shards > this.#fleet.shardsPerGpu ||
          (one.state === 'RUNNING' && !placements.has(one.slurmJobId))),
    );
    const rank = ({ state }: Placeholder) => (state === 'PENDING' ? 0 : 1);
    return unwanted.sort((a, b) => rank(a) - rank(b));
  }

  #missing(
    index: number,
    placeholders: readonly Placeholder[],
    placements: ReadonlyMap<number, GpuPlacement>,
    ours: ReadonlySet<number>,
  ): number[] {
    const { shardsPerGpu } = this.#fleet;
    const here = placeholders.filter((one) => gpuOf(one) === index && isLive(one));
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

/** Tells whether a placeholder counts; one that is ending closes nothing reliably. */
function isLive({ state }: Placeholder): boolean {
  return state === 'PENDING' || state === 'RUNNING' || state === 'CONFIGURING';
}
