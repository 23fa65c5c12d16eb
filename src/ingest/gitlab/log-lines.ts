const maxLines = 50;
const maxCharacters = 400;
const maxTotal = 8000;

/**
 * The last lines of a log as a terminal would show them, at most 50 and 8,000 characters. What a progress bar has overwritten with
 * carriage returns is left out; other control characters, which no YAML may hold (yaml.org/spec/1.2.2, 5.1), are written as `\x1b`.
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
  // Half of a character is none that YAML may hold.
  return `${line.slice(0, maxCharacters).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** The same text in characters that every reader of YAML takes. */
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
