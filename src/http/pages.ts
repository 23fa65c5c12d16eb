import { z } from 'zod';

const maxListed = 1000;
const wholeNumber = z
  .string()
  .regex(/^\d{1,15}$/, 'expected a whole number')
  .transform(Number);

/** The fields of a query that choose a page of a list, newest first. */
export const pageQuery = (ordinary: number) => ({
  limit: wholeNumber
    .refine((n) => n >= 1 && n <= maxListed, `expected a number from 1 to ${maxListed}`)
    .default(ordinary),
  before: wholeNumber.optional(),
});

/** The field of a list, newest first, that leads to the next page. */
export const nextBeforeSchema = z
  .int()
  .nullable()
  .describe('Send this as `before` for the next page; null on the last one.');

/**
 * Cuts a list to a page.
 * @param items one more than `limit`, if there are as many
 * @param numberOf the number that `before` counts by
 */
export function pageOf<T>(
  items: readonly T[],
  limit: number,
  numberOf: (item: T) => number,
): { page: T[]; next_before: number | null } {
  const page = items.slice(0, limit);
  const last = page.at(-1);
  const hasMore = last !== undefined && items.length > limit;
  return { page, next_before: hasMore ? numberOf(last) : null };
}
