import { z } from 'zod';

/** Those of which we know the requests and replies, the best first. 22.05 to 23.11 have the last, 23.11 to 25.05 the others. */
const known = ['v0.0.42', 'v0.0.41', 'v0.0.40', 'v0.0.38'] as const;
export type RestVersion = (typeof known)[number];

/** Its numbers are plain, and lists are texts. */
export function isFlat(version: RestVersion): boolean {
  return version === 'v0.0.38';
}

/**
 * The best of the versions that the server offers, in the reply of `GET /openapi/v3`.
 * @returns undefined, with all that it offers, where none is known here.
 */
export function chooseVersion(reply: unknown): {
  version: RestVersion | undefined;
  offered: string[];
} {
  const { paths } = z.object({ paths: z.record(z.string(), z.unknown()) }).parse(reply);
  const offered = Object.keys(paths).flatMap(
    (path) => /^\/slurm\/(v[\d.]+)\/job\/submit$/.exec(path)?.[1] ?? [],
  );
  return { version: known.find((version) => offered.includes(version)), offered };
}
