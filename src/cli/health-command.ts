import type { Command } from 'commander';
import { localUrl, readConfig } from '../config/config.js';
import { errnoOf } from '../errors.js';
import { layoutOf } from '../config/layout.js';

/** What the image's health check runs, in a controller and in a worker. */
export function addHealthCommand(program: Command): void {
  program
    .command('health')
    .description('say whether this worker does its work; ends with 1 when it does not (root)')
    .action(async () => {
      const config = readConfig();
      const { problemsOfWorker } = await import('../machines/worker/health.js');
      const problems =
        config.role === 'worker'
          ? await problemsOfWorker(layoutOf(config.root))
          : await problemsOfService(`${localUrl(config)}/health`);
      process.stdout.write(`${problems.length === 0 ? 'ok' : problems.join('\n')}\n`);
      process.exitCode = problems.length === 0 ? 0 : 1;
    });
}

async function problemsOfService(url: string): Promise<string[]> {
  try {
    const reply = await fetch(url);
    return reply.ok ? [] : [await reply.text()];
  } catch (error) {
    // fetch says no more than that it failed; why, stands in the cause.
    const { cause = error } = error as Error;
    return [`the API does not answer at ${url}: ${errnoOf(cause) ?? String(cause)}`];
  }
}
