/** A command that prints a thousand lines, alternately to standard output and standard error. */
export const printAlternating = 'for i in {1..500}; do echo "out $i"; echo "err $i" >&2; done';

/** The log of {@link printAlternating} in the right order. */
export const alternatingLines = Array.from(
  { length: 500 },
  (_, i) => `out ${i + 1}\nerr ${i + 1}\n`,
).join('');
