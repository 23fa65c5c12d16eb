/**
 * Formats an instant as replies show it (ISO 8601, UTC). @param ms since the epoch, or null for
 * none
 */
export function isoTime(ms: number): string;
export function isoTime(ms: number | null): string | null;
export function isoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
