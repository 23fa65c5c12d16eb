/** A failure that is shown as one line and ends with exit code 1. */
export class CliError extends Error {
  override readonly name = 'CliError';
}
