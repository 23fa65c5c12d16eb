/** Removes characters that could control the terminal from foreign text. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]+/gu, ' ').trim();
}

/** Lays out rows under a heading, in columns two spaces apart; the last one may have any width. */
export function table(rows: readonly (readonly string[])[]): string {
  const clean = rows.map((row) => row.map(plain));
  const widths = (clean[0] ?? []).map((_, i) =>
    Math.max(...clean.map((row) => (row[i] ?? '').length)),
  );
  return clean
    .map((row) =>
      row
        .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Prints a line on stderr that is not part of the command's result. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
