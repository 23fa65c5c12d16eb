/** A failure for the person at the terminal: one line, exit code 1. */
export class CliError extends Error {
  override readonly name = 'CliError';
}
