import type { ExpiredLeases } from '../expired-leases.js';
import type { GitLabClient } from './client.js';
import type { GitLabItem } from './item.js';
import { keyOf } from './item.js';
import { readResponseFile } from './response-file.js';
import type { Claimed } from './response.js';
import type { Found } from './scanner.js';

/** Responses that are read of one project in one scan: there may be thousands of jobs. */
const readAtOnce = 20;

export interface ForeignClaimsParts {
  client: GitLabClient;
  expired: ExpiredLeases;
  /** Whether a job is claimed by this server. */
  isOurs: (key: string) => boolean;
}

/** The claims of other servers, each response read once for as long as it stays as it is. */
export class ForeignClaims {
  readonly #parts: ForeignClaimsParts;

  /** By project, by the object that a response is; null for a claim that never ends. */
  #known = new Map<number, Map<string, Claimed | null>>();

  constructor(parts: ForeignClaimsParts) {
    this.#parts = parts;
  }

  /** Those of a project that may be taken over, by the ids of their jobs. @throws GitLabError */
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

  /** Those of other projects have been deleted, or are no longer for this token. */
  keepOnly(projectIds: ReadonlySet<number>): void {
    for (const id of this.#known.keys()) if (!projectIds.has(id)) this.#known.delete(id);
  }
}
