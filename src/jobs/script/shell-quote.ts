/** A word that bash reads as exactly this text. The text must hold no NUL, which no argument can. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Sets one variable of the job's environment. */
export function exportLine(name: string, value: string): string {
  return `export ${name}=${shellQuote(value)}`;
}
