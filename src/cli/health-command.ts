import type { Command } from 'commander';
import { localUrl, readConfig } from '../config/config.js';
import { errnoOf } from '../errors.js';
import { layoutOf } from '../config/layout.js';
import { say } from './terminal.js';

/** Adds the command that the image's health check runs, on controllers and workers. */
export function addHealthCommand(program: Command): void {
  program
    .command('health')
    .description('check this worker; exits with 1 when it is unhealthy (root)')
    .action(async () => {
      const config = readConfig();
      const { problemsOfWorker } = await import('../machines/worker/health.js');
      const problems =
        config.role === 'worker'
          ? await problemsOfWorker(layoutOf(config.root))
          : await problemsOfService(`${localUrl(config)}/health`);
      say(problems.length === 0 ? 'ok' : problems.join('\n'));
      process.exitCode = problems.length === 0 ? 0 : 1;
    });
}

async function problemsOfService(url: string): Promise<string[]> {
  try {
    const reply = await fetch(url);
    return reply.ok ? [] : [await reply.text()];
  } catch (error) {
    // fetch only reports that it failed; its cause holds the reason.
    const { cause = error } = error as Error;
    return [`the API does not answer at ${url}: ${errnoOf(cause) ?? String(cause)}`];
  }
}
