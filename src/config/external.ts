import { ConfigError } from './config-error.js';
import type { Environment } from './environment.js';
import { readSecret } from './secrets.js';

/** Access to an external Slurm. */
export type ExternalAccess =
  | { kind: 'commands'; path: string; slurmConf: string | undefined; user: string | undefined }
  | {
      kind: 'rest';
      url: string;
      user: string | undefined;
      /** Reads the current token. @throws ConfigError when there is none. */
      token: () => string;
    };

/** An external Slurm. */
export interface ExternalSlurm {
  access: ExternalAccess;
  /**
   * The group through which the API and the jobs' user share files; undefined for the API's own.
   */
  group: string | undefined;
  partition: string | undefined;
  account: string | undefined;
  qos: string | undefined;
}

/** Settings that only our own cluster has. */
const ownOnly = [
  'JR_ROLE',
  'JR_JOIN_PORT',
  'JR_JOIN_TOKEN',
  'JR_JOIN_TOKEN_FILE',
  'JR_CONTROLLER',
  'JR_SSH_NODES',
  'JR_SIMULATE_GPUS',
  'JR_NUM_GPUS',
  'JR_NUM_CPUS',
  'JR_REAL_MEM_MB',
  'JR_USE_CGROUPS',
  'JR_USER_MAX_RUNNING',
  'JR_USER_MAX_GPUS',
  'JR_SCREEN',
];

const externalOnly = [
  'JR_SLURM_CONF',
  'JR_SLURMRESTD_URL',
  'JR_SLURM_JWT',
  'JR_SLURM_JWT_FILE',
  'JR_SLURM_USER',
  'JR_SLURM_GROUP',
  'JR_SLURM_PARTITION',
  'JR_SLURM_ACCOUNT',
  'JR_SLURM_QOS',
];

const whys: Record<string, string> = {
  JR_USER_MAX_RUNNING: 'the external cluster’s own associations limit running jobs',
  JR_USER_MAX_GPUS: 'the external cluster’s own associations limit GPUs',
};

/**
 * Reads the settings of an external cluster.
 * @param given the variables that are set, by name
 * @param path of the folders where its commands are found
 * @returns undefined for our own cluster
 * @throws ConfigError naming settings that exclude each other
 */
export function readExternal(
  e: Environment,
  given: Record<string, string>,
  path: string,
): ExternalSlurm | undefined {
  const isExternal = e.JR_SLURM_MODE === 'external';
  const isOff = (name: string) => /^(0|false|controller)$/.test(given[name] ?? '0');
  const wrong = isExternal
    ? ownOnly.filter((name) => !isOff(name))
    : externalOnly.filter((name) => given[name] !== undefined);
  const [first] = wrong;
  if (first !== undefined) {
    const why = whys[first] === undefined ? '' : ` (${whys[first]})`;
    throw new ConfigError(
      isExternal
        ? `${wrong.join(', ')}: cannot be set with JR_SLURM_MODE=external, where others run the cluster${why}`
        : `${wrong.join(', ')}: needs JR_SLURM_MODE=external`,
    );
  }
  if (!isExternal) return undefined;
  return {
    access: accessOf(e, path),
    group: e.JR_SLURM_GROUP,
    partition: e.JR_SLURM_PARTITION,
    account: e.JR_SLURM_ACCOUNT,
    qos: e.JR_SLURM_QOS,
  };
}

function accessOf(e: Environment, path: string): ExternalAccess {
  const { JR_SLURMRESTD_URL: url, JR_SLURM_USER: user, JR_SLURM_CONF: slurmConf } = e;
  const { JR_SLURM_JWT: jwt, JR_SLURM_JWT_FILE: file } = e;
  if (url === undefined) {
    if (jwt !== undefined || file !== undefined)
      throw new ConfigError(
        'JR_SLURM_JWT: needs JR_SLURMRESTD_URL; Slurm’s commands take no token',
      );
    return { kind: 'commands', path, slurmConf, user };
  }
  if (slurmConf !== undefined)
    throw new ConfigError(
      'JR_SLURM_CONF: is for Slurm’s commands; unset it, or unset JR_SLURMRESTD_URL',
    );
  if ((jwt === undefined) === (file === undefined))
    throw new ConfigError('JR_SLURMRESTD_URL: needs one of JR_SLURM_JWT and JR_SLURM_JWT_FILE');
  return { kind: 'rest', url: url.replace(/\/+$/, ''), user, token: () => jwt ?? tokenIn(file) };
}

/** Reads a token, alone or as `scontrol token` prints it. */
function tokenIn(file = ''): string {
  const token = readSecret(file)?.replace(/^SLURM_JWT=/, '');
  if (!token) throw new ConfigError(`JR_SLURM_JWT_FILE: ${file} holds no token`);
  return token;
}
