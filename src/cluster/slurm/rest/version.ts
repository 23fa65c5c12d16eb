import { z } from 'zod';
import { readReply } from './read.js';

/**
 * Versions whose requests and replies this client knows, best first. 22.05 to 23.11 offer the last
 * one, 23.11 to 26.05 one of the others.
 */
const known = ['v0.0.42', 'v0.0.41', 'v0.0.40', 'v0.0.38'] as const;
export type RestVersion = (typeof known)[number];

/** Tells whether the version writes plain numbers, and lists as texts. */
export function isFlat(version: RestVersion): boolean {
  return version === 'v0.0.38';
}

export interface Offer {
  /** Best version that is known here; undefined if none is. */
  version: RestVersion | undefined;
  /** Every version that the server offers. */
  offered: string[];
  /**
   * Whether the server answers accounting requests in that version. Without slurmdbd
   * (AccountingStorageType) it does not load that plugin, or up to 23.11 does not start with it. An
   * unreachable slurmdbd makes no difference (22.05 to 26.05, openapi/slurmdbd).
   */
  hasAccounting: boolean;
}

/** Chooses a version from the reply of `GET /openapi/v3`. @throws SlurmError */
export function chooseVersion(reply: unknown): Offer {
  const page = readReply(z.object({ paths: z.record(z.string(), z.unknown()) }), reply);
  const paths = Object.keys(page.paths);
  const offered = paths.flatMap(
    (path) => /^\/slurm\/(v[\d.]+)\/job\/submit$/.exec(path)?.[1] ?? [],
  );
  const version = known.find((one) => offered.includes(one));
  const hasAccounting = paths.some(
    (path) => path.replace(/\/$/, '') === `/slurmdb/${version}/jobs`,
  );
  return { version, offered, hasAccounting };
}
