/** Makes a job name from the end of a text; undefined when nothing usable is left. */
export function jobName(text: string): string | undefined {
  // A surrogate pair that was cut in two is no character any more.
  return text.slice(-128).replace(/[\p{Cc}\p{Cs}\u2028\u2029]/gu, '') || undefined;
}
