import { z } from 'zod';

/**
 * A number as slurmrestd writes it: plain up to v0.0.39, since then with whether it is set or without end (data_parser,
 * `uint32_no_val`). @returns null where it is not set, Infinity where it has no end.
 */
export const optionalNumber = z
  .union([
    z.number(),
    z.object({ set: z.boolean(), infinite: z.boolean().optional(), number: z.number() }),
  ])
  .nullish()
  .transform((value) => {
    if (value === null || value === undefined || typeof value === 'number') return value ?? null;
    if (value.infinite === true) return Infinity;
    return value.set ? value.number : null;
  });

/** One word, or a list of them since v0.0.40. */
export const words = z
  .union([z.string().transform((word) => [word]), z.array(z.string())])
  .nullish()
  .transform((list) => list ?? []);

export const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');

/** Seconds since 1970 to milliseconds; null for none. */
export const time = optionalNumber.transform((seconds) =>
  seconds !== null && Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : null,
);

/** A wait(2) status up to v0.0.38, since then what it means. */
export const exitCode = z
  .union([
    z.number(),
    z.object({
      return_code: optionalNumber,
      signal: z
        .object({ id: optionalNumber, signal_id: optionalNumber })
        .nullish()
        .transform((signal) => signal?.id ?? signal?.signal_id ?? 0),
    }),
  ])
  .transform((value) =>
    typeof value === 'number'
      ? { exitCode: (value >> 8) & 0xff, signal: value & 0x7f }
      : { exitCode: value.return_code ?? 0, signal: value.signal },
  );
