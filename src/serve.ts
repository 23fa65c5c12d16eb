import { pino } from 'pino';
import { openApp } from './app.js';
import { localUrl, readConfig } from './config/config.js';
import { layoutOf } from './layout.js';

/** Runs the API until SIGTERM or SIGINT. */
export async function serve(): Promise<void> {
  // What is made here is for this user and, in the shared folders, for the jobs' group to read.
  process.umask(0o027);
  const config = readConfig();
  const log = pino({ level: config.logLevel });
  const app = await openApp(config, layoutOf(config.root), log);
  log.info(`listening on ${localUrl(config)}`);
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
  log.info('stopping');
  await app.close();
}
