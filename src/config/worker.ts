import { joinTokenPattern, parseJoinToken, type JoinToken } from './join-token.js';
import { ConfigError } from './config-error.js';
import { readConfig } from './config.js';
import { environmentSchema, parseEnvironment } from './environment.js';
import { readSecret } from './secrets.js';

/** The settings that make this machine a worker of another one's cluster. */
export interface WorkerConfig {
  controller: { host: string; port: number };
  /** The longest time the connection to the controller may be silent. */
  silenceMs: number;
  token: JoinToken;
  /** Undefined when the controller sends the key. */
  mungeKeyFile: string | undefined;
}

/**
 * Reads the settings of a worker.
 * @returns undefined unless `JR_ROLE=worker`
 * @throws ConfigError naming what is missing
 */
export function readWorkerConfig(env: NodeJS.ProcessEnv = process.env): WorkerConfig | undefined {
  if (env['JR_ROLE'] !== 'worker') return undefined;
  readConfig(env);
  const schema = environmentSchema.pick({
    JR_CONTROLLER: true,
    JR_CONTROLLER_TIMEOUT: true,
    JR_JOIN_TOKEN: true,
    JR_JOIN_TOKEN_FILE: true,
    JR_MUNGE_KEY_FILE: true,
  });
  const e = parseEnvironment(schema, env);
  const token = e.JR_JOIN_TOKEN ?? (e.JR_JOIN_TOKEN_FILE && readSecret(e.JR_JOIN_TOKEN_FILE));
  if (token !== undefined && !joinTokenPattern.test(token))
    throw new ConfigError(`JR_JOIN_TOKEN_FILE: ${e.JR_JOIN_TOKEN_FILE} holds no join token`);
  if (e.JR_CONTROLLER === undefined || token === undefined)
    throw new ConfigError(
      'JR_ROLE: worker needs JR_CONTROLLER and JR_JOIN_TOKEN (or JR_JOIN_TOKEN_FILE); "jobrunner worker token" on the controller prints the token',
    );
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(e.JR_CONTROLLER) ?? [];
  return {
    controller: { host, port: Number(port) },
    silenceMs: e.JR_CONTROLLER_TIMEOUT * 1000,
    token: parseJoinToken(token),
    mungeKeyFile: e.JR_MUNGE_KEY_FILE,
  };
}

/** Reads the settings of the join port's process, which the stack sets. @throws ConfigError */
export function readJoinPortConfig(env: NodeJS.ProcessEnv = process.env) {
  const schema = environmentSchema.pick({
    JR_ROOT: true,
    JR_HOST: true,
    JR_PORT: true,
    JR_SLURMCTLD_PORT: true,
    JR_WORKER_SLURMD_PORT: true,
    JR_JOIN_PORT: true,
  });
  const e = parseEnvironment(schema.required({ JR_JOIN_PORT: true }), env);
  return {
    root: e.JR_ROOT,
    port: e.JR_JOIN_PORT,
    api: { host: e.JR_HOST, port: e.JR_PORT },
    ports: { slurmctld: e.JR_SLURMCTLD_PORT, workerSlurmd: e.JR_WORKER_SLURMD_PORT },
  };
}

/** Reads the settings of a worker's link, which the worker's stack sets. @throws ConfigError */
export function readLinkConfig(env: NodeJS.ProcessEnv = process.env) {
  const e = parseEnvironment(
    environmentSchema.pick({
      JR_ROOT: true,
      JR_CONTROLLER_TIMEOUT: true,
      JR_SLURMCTLD_PORT: true,
      JR_SLURMD_PORT: true,
    }),
    env,
  );
  return {
    root: e.JR_ROOT,
    silenceMs: e.JR_CONTROLLER_TIMEOUT * 1000,
    ports: { slurmctld: e.JR_SLURMCTLD_PORT, slurmd: e.JR_SLURMD_PORT },
  };
}

/** Reads the settings of a worker's agent, which the worker's stack sets. @throws ConfigError */
export function readAgentConfig(env: NodeJS.ProcessEnv = process.env) {
  const e = parseEnvironment(
    environmentSchema.pick({ JR_ROOT: true, JR_CACHE_GB: true, JR_CONTROLLER_TIMEOUT: true }),
    env,
  );
  return {
    root: e.JR_ROOT,
    cacheBytes: e.JR_CACHE_GB,
    silenceMs: e.JR_CONTROLLER_TIMEOUT * 1000,
  };
}
