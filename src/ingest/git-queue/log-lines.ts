const keptLines = 20;
const maxLineLength = 500;

/** Takes the last lines of a job’s log, without characters that do not belong in a shared file. */
export function logLines(log: string): string[] {
  return log
    .split(/\r\n|[\r\n]/)
    .map((line) => line.replace(/[\0-\x08\x0b-\x1f\x7f\ufffd]/g, '').trimEnd())
    .filter((line) => line !== '')
    .slice(-keptLines)
    .map((line) => line.slice(0, maxLineLength).replace(/[\ud800-\udbff]$/, ''));
}
