/**
 * Quotes a text as one word, which bash reads as exactly this text. It must hold no NUL, as no
 * argument can.
 */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Sets one variable of the job's environment. */
export function exportLine(name: string, value: string): string {
  return `export ${name}=${shellQuote(value)}`;
}
