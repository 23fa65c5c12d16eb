/** The end of a text, as far as a job's name can hold it; undefined when nothing is left. */
export function jobName(text: string): string | undefined {
  // What is cut in two would be no character any more.
  return text.slice(-128).replace(/[\p{Cc}\p{Cs}\u2028\u2029]/gu, '') || undefined;
}
