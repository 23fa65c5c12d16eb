import { z } from 'zod';

/**
 * Reads a number of slurmrestd. It is plain up to v0.0.39; later versions add whether it is set or
 * infinite (data_parser, `UINT32_NO_VAL`). A server configured for COMPLEX values writes a plain
 * number, null or `Infinity`.
 * @returns null if it is not set, Infinity if it is infinite
 */
export const optionalNumber = z
  .union([
    z.number(),
    z.literal('Infinity'),
    z.object({ set: z.boolean(), infinite: z.boolean().optional(), number: z.number() }),
  ])
  .nullish()
  .transform((value) => {
    if (value === null || value === undefined || typeof value === 'number') return value ?? null;
    if (value === 'Infinity' || value.infinite === true) return Infinity;
    return value.set ? value.number : null;
  });

/** Reads one word, or a list of words since v0.0.40. */
export const words = z
  .union([z.string().transform((word) => [word]), z.array(z.string())])
  .nullish()
  .transform((list) => list ?? []);

/** Reads a list of names, or one text with commas as Slurm prints it. */
export const names = z.union([
  z.string().transform((list) => list.split(',').filter((name) => name !== '')),
  z.array(z.string()),
]);

export const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');

/** Converts seconds since 1970 to milliseconds; null for none. */
export const time = optionalNumber.transform((seconds) =>
  seconds !== null && Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : null,
);

/** Reads an exit code: a wait(2) status up to v0.0.39, an object since then. */
export const exitCode = z
  .union([
    z.number(),
    z.object({ set: z.boolean(), number: z.number() }).transform(({ number }) => number),
    z.object({
      return_code: optionalNumber,
      signal: z
        .object({ id: optionalNumber, signal_id: optionalNumber })
        .nullish()
        .transform((signal) => signal?.id ?? signal?.signal_id ?? 0),
    }),
  ])
  .nullish()
  .transform((value) => {
    const meaning = value ?? 0;
    return typeof meaning === 'number'
      ? { exitCode: (meaning >> 8) & 0xff, signal: meaning & 0x7f }
      : { exitCode: meaning.return_code ?? 0, signal: meaning.signal };
  });
