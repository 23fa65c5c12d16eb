import { pino } from 'pino';
import { openApp } from './app.js';
import { localUrl, readConfig, type Config } from '../config/config.js';
import { layoutOf } from '../config/layout.js';
import { prepareExternal } from '../machines/external/prepare.js';

/** Runs the API until SIGTERM or SIGINT. @param say is told where it is once it answers */
export async function serve(say?: (line: string) => void): Promise<void> {
  // What is made here is for this user and, in the shared folders, for the jobs' group to read.
  process.umask(0o027);
  const read = readConfig();
  const { config, newToken } = read.external
    ? await prepareExternal(read, read.external)
    : { config: read, newToken: undefined };
  // On standard error where somebody is told the rest.
  const log = pino({ level: config.logLevel }, pino.destination(say === undefined ? 1 : 2));
  const app = await openApp(config, layoutOf(config.root), log);
  log.info(`listening on ${localUrl(config)}`);
  say?.(banner(config, newToken));
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
    process.once('SIGHUP', () => resolve());
  });
  log.info('stopping');
  await app.close();
  say?.('Stopped.');
}

function banner(config: Config, newToken: string | undefined): string {
  return [
    'JobRunner is ready, over the external Slurm',
    `  URL    ${localUrl(config)}`,
    newToken === undefined
      ? '  token  the one you set, or was printed at the first start'
      : `  token  ${newToken}   (printed this once)`,
    '  Ctrl-C stops it; jobs on the external cluster run on.',
  ].join('\n');
}
