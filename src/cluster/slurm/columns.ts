/** Columns of `squeue --Format` or `sinfo --Format`: Slurm's name and the printed width of each. */
export type Columns<Name extends string> = readonly (readonly [name: Name, width: number])[];

/**
 * Builds `--Format` with fixed widths: free text cannot move a column, as it could a separator.
 * Longer values are cut.
 */
export function formatOf(columns: Columns<string>): string {
  return `--Format=${columns.map(([name, width]) => `${name}:${width}`).join(',')}`;
}

/** Reads one record a line: its trimmed cells, and the line itself for an error's message. */
export function readRows<Name extends string>(
  columns: Columns<Name>,
  output: string,
): (Record<Name, string> & { line: string })[] {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  return lines.map((line) => readRow(columns, line));
}

/** Reads one record: its trimmed cells, and the line itself. */
export function readRow<Name extends string>(
  columns: Columns<Name>,
  line: string,
): Record<Name, string> & { line: string } {
  let from = 0;
  const cells = columns.map(([name, width]) => [name, line.slice(from, (from += width)).trim()]);
  return { ...(Object.fromEntries(cells) as Record<Name, string>), line };
}
