/** A command that prints a thousand lines, by turns to standard output and standard error. */
export const printAlternating = 'for i in {1..500}; do echo "out $i"; echo "err $i" >&2; done';

/** The log of {@link printAlternating} where it keeps the order. */
export const alternatingLines = Array.from(
  { length: 500 },
  (_, i) => `out ${i + 1}\nerr ${i + 1}\n`,
).join('');
