import { createInterface } from 'node:readline/promises';
import { CliError } from './cli-error.js';
import { plain } from './terminal.js';

/**
 * Asks on the terminal whether to go on.
 * @param remedy the options that answer without a question, for callers without a terminal
 * @throws CliError for any answer but yes, and without a terminal
 */
export async function confirm(question: string, remedy: string): Promise<void> {
  if (!process.stdin.isTTY) throw new CliError(remedy);
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await asking.question(`${plain(question)} [yes/no] `);
    if (answer.trim().toLowerCase() !== 'yes') throw new CliError('nothing was changed');
  } finally {
    asking.close();
  }
}
