const maxLines = 50;
const maxCharacters = 400;
const maxTotal = 8000;

/**
 * Takes the last lines of a log as a terminal would show them: at most 50 lines and 8,000
 * characters.
 * Leaves out text that a progress bar overwrote with carriage returns. Writes other control
 * characters, which YAML forbids (yaml.org/spec/1.2.2, 5.1), as `\x1b`.
 */
export function lastLines(log: string): string {
  const lines = log
    .replace(/\r\n/g, '\n')
    .replace(/\n+$/, '')
    .split('\n')
    .slice(-maxLines)
    .map((line) => shorten(visible(line.slice(line.lastIndexOf('\r', line.length - 2) + 1))));
  let length = 0;
  const fitting = lines.toReversed().filter((line) => (length += line.length + 1) <= maxTotal);
  return fitting.toReversed().join('\n');
}

function shorten(line: string): string {
  if (line.length <= maxCharacters) return line;
  // YAML forbids half of a surrogate pair.
  return `${line.slice(0, maxCharacters).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** Replaces the characters that some reader of YAML rejects. */
export function visible(text: string): string {
  return text
    .replace(/[^\P{Cc}\t]|[\p{Cf}\p{Cs}\u2028\u2029\ufffe\uffff]/gu, (char) => {
      const code = char.codePointAt(0) ?? 0;
      return code < 0x100
        ? `\\x${code.toString(16).padStart(2, '0')}`
        : `\\u{${code.toString(16)}}`;
    })
    .trimEnd();
}
