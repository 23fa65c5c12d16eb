/** Makes a job name from the end of a text; undefined when nothing usable is left. */
export function jobName(text: string): string | undefined {
  // Half of a surrogate pair is not a character.
  return text.slice(-128).replace(/[\p{Cc}\p{Cs}\u2028\u2029]/gu, '') || undefined;
}
