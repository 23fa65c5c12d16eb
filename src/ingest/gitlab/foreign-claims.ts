import type { ExpiredLeases } from '../expired-leases.js';
import type { GitLabClient } from './client.js';
import type { GitLabItem } from './item.js';
import { keyOf } from './item.js';
import { readResponseFile } from './response-file.js';
import type { Claimed } from './response.js';
import type { Found } from './scanner.js';

/** Maximum of responses read of one project in one scan: there may be thousands of jobs. */
const readAtOnce = 20;

export interface ForeignClaimsParts {
  client: GitLabClient;
  expired: ExpiredLeases;
  /** Whether this server has claimed the job. */
  isOurs: (key: string) => boolean;
}

/** The claims of other servers. Each response is read once, until it changes. */
export class ForeignClaims {
  readonly #parts: ForeignClaimsParts;

  /**
   * Known claims, by project and by the object id of the response; null for a claim that never
   * ends.
   */
  #known = new Map<number, Map<string, Claimed | null>>();

  constructor(parts: ForeignClaimsParts) {
    this.#parts = parts;
  }

  /** Finds the claims of a project that may be taken over, by job id. @throws GitLabError */
  async expiredIn(
    projectId: number,
    { commit, manifest, responses }: Found,
    signal: AbortSignal,
  ): Promise<Map<string, NonNullable<GitLabItem['expired']>>> {
    const { client, expired, isOurs } = this.#parts;
    const before = this.#known.get(projectId);
    const known = new Map<string, Claimed | null>();
    this.#known.set(projectId, known);
    const found = new Map<string, NonNullable<GitLabItem['expired']>>();
    let reads = 0;
    for (const { id: jobId, canceled } of manifest.jobs) {
      const blob = responses.get(jobId);
      const key = keyOf(projectId, jobId);
      if (blob === undefined || canceled || isOurs(key)) continue;
      let claim = before?.get(blob);
      if (claim === undefined && reads < readAtOnce) {
        reads += 1;
        const response = await readResponseFile(client, { projectId, jobId }, commit, signal);
        claim = response?.claim ?? null;
      }
      if (claim === undefined) continue;
      known.set(blob, claim);
      if (claim?.leaseUntil === undefined) continue;
      const { nonce, leaseUntil } = claim;
      if (expired.mayTakeOver(key, { nonce, leaseUntil })) found.set(jobId, { nonce, leaseUntil });
    }
    return found;
  }

  /** Forgets all other projects: they were deleted or are hidden from this token now. */
  keepOnly(projectIds: ReadonlySet<number>): void {
    for (const id of this.#known.keys()) if (!projectIds.has(id)) this.#known.delete(id);
  }
}
