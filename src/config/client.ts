import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from './config-error.js';
import { localUrl } from './config.js';
import { environmentSchema, parseEnvironment } from './environment.js';
import { layoutOf, secretsFolder } from './layout.js';
import { readSecret } from './secrets.js';

/** The settings of the `jobrunner` commands, which run beside the service or far from it. */
export interface ClientConfig {
  url: string;
  /**
   * The owner's socket of this machine's API; undefined where `url` and a token are to be used, or
   * where this user may not enter its folder.
   */
  socket: string | undefined;
  /** True when `url` leads to this machine. */
  isLocal: boolean;
  /**
   * Reads the token on demand, since some users may not read it. @throws ConfigError with the
   * remedy.
   */
  token(): string;
  root: string;
  jobsFile: string;
  /** The type of the caller's terminal, as terminfo names it. */
  term: string | undefined;
}

/**
 * Reads only the variables that the commands need. The token that the stack left here is sent to
 * this machine's API alone.
 * @param url replaces `JR_URL`
 * @throws ConfigError naming each unusable variable, in one line.
 */
export function readClientConfig(url?: string, env: NodeJS.ProcessEnv = process.env): ClientConfig {
  const schema = environmentSchema.pick({
    JR_ROOT: true,
    JR_HOST: true,
    JR_PORT: true,
    JR_URL: true,
    JR_AUTH_TOKEN: true,
    JR_JOBS_FILE: true,
  });
  const e = parseEnvironment(schema, { ...env, ...(url !== undefined && { JR_URL: url }) });
  const here = localUrl({ host: e.JR_HOST, port: e.JR_PORT });
  const isLocal =
    e.JR_URL === undefined || /^(127\.[\d.]+|localhost|\[::1\])$/.test(new URL(e.JR_URL).hostname);
  const reach = (e.JR_URL ?? here).replace(/\/+$/, '');
  // A given token says who calls, and a given address which service.
  const { ownerSocket } = layoutOf(e.JR_ROOT);
  const usesSocket =
    e.JR_URL === undefined && e.JR_AUTH_TOKEN === undefined && existsSync(ownerSocket);
  return {
    url: reach,
    socket: usesSocket ? ownerSocket : undefined,
    isLocal,
    token: () => {
      const path = join(secretsFolder(e.JR_ROOT), 'auth-token');
      const token = e.JR_AUTH_TOKEN ?? (isLocal ? readOwnToken(path) : undefined);
      if (token !== undefined) return token;
      const where = isLocal
        ? `and there is no ${path}; if the service has another JR_ROOT, set the same one here`
        : `and ${reach} wants its own`;
      throw new ConfigError(`JR_AUTH_TOKEN: not set, ${where}`);
    },
    root: e.JR_ROOT,
    jobsFile: e.JR_JOBS_FILE ?? join(e.JR_ROOT, 'jobs.txt'),
    term: env['TERM'],
  };
}

/** Returns the root folder, `JR_ROOT`. @throws ConfigError */
export function rootOf(env: NodeJS.ProcessEnv = process.env): string {
  return parseEnvironment(environmentSchema.pick({ JR_ROOT: true }), env).JR_ROOT;
}

function readOwnToken(path: string): string | undefined {
  try {
    return readSecret(path);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`${error.message}: run this as root (sudo), or set JR_AUTH_TOKEN`);
  }
}
