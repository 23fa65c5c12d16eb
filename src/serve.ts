import { setFlagsFromString } from 'node:v8';
import { pino } from 'pino';
import { openApp } from './app.js';
import { localUrl, readConfig } from './config.js';
import { layoutOf } from './layout.js';

/** Runs the API until SIGTERM or SIGINT. */
export async function serve(): Promise<void> {
  // What is made here is for this user and, in the shared folders, for the jobs' group to read.
  process.umask(0o027);
  // V8 counts the memory of every chunk that is received and marks the whole heap again each 64 MB of it, on all its threads:
  // half of an upload's processor time. Chunks die young, so the small collections free them; see bench/RESULTS.md.
  setFlagsFromString('--no-incremental-marking');
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
