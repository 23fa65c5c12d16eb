import { pino } from 'pino';
import { openApp } from './app.js';
import { localUrl, readConfig, type Config } from '../config/config.js';
import { shownUrl } from '../config/shown-url.js';
import { layoutOf } from '../config/layout.js';
import { judgeCpus } from '../config/many-cpus.js';
import { judgeToken } from '../config/weak-token.js';
import { prepareExternal } from '../machines/external/prepare.js';

/**
 * Runs the API until SIGTERM, SIGINT or SIGHUP.
 * @param say receives the URL once the API answers
 */
export async function serve(say?: (line: string) => void): Promise<void> {
  // New files are readable by this user only and, in shared folders, by the jobs' group.
  process.umask(0o027);
  const read = readConfig();
  const { cpus } = read.node;
  const warnings = [
    judgeToken(read),
    read.external || cpus === undefined ? undefined : judgeCpus(cpus),
  ].filter((warning) => warning !== undefined);
  const { config, newToken } = read.external
    ? await prepareExternal(read, read.external)
    : { config: read, newToken: undefined };
  // Logs go to standard error if standard output shows messages for people.
  const log = pino({ level: config.logLevel }, pino.destination(say === undefined ? 1 : 2));
  const app = await openApp(config, layoutOf(config.root), log);
  log.info(`listening on ${localUrl(config)}`);
  for (const warning of warnings) log.warn(warning);
  say?.(banner(config, newToken));
  for (const warning of warnings) say?.(`\nWARNING: ${warning}\n`);
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
    'JobRunner is ready on the external cluster',
    `  URL    ${shownUrl(config)}`,
    newToken === undefined
      ? '  token  the one that you set, or that the first start printed'
      : `  token  ${newToken}   (printed this once)`,
    '  Ctrl-C stops JobRunner; jobs on the external cluster continue.',
  ].join('\n');
}
