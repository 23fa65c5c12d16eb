import { z } from 'zod';
import { readReply } from './read.js';

/** Those of which we know the requests and replies, the best first. 22.05 to 23.11 have the last, 23.11 to 26.05 one of the others. */
const known = ['v0.0.42', 'v0.0.41', 'v0.0.40', 'v0.0.38'] as const;
export type RestVersion = (typeof known)[number];

/** Its numbers are plain, and lists are texts. */
export function isFlat(version: RestVersion): boolean {
  return version === 'v0.0.38';
}

export interface Offer {
  /** The best that is known here; undefined where none is. */
  version: RestVersion | undefined;
  /** All. */
  offered: string[];
  /**
   * Whether it asks accounting in that version. Without slurmdbd (AccountingStorageType) it loads no such plugin, or up to 23.11 does not
   * start with it; whether slurmdbd answers makes no difference (22.05 to 26.05, openapi/slurmdbd).
   */
  hasAccounting: boolean;
}

/** What the server offers, in the reply of `GET /openapi/v3`. @throws SlurmError */
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
