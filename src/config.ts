import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import type { z } from 'zod';
import { joinTokenPattern, parseJoinToken, type JoinToken } from './boxes/join-token.js';
import { environmentSchema } from './environment.js';
import { errnoOf } from './errors.js';

/** A setting that cannot be used; its message is one line for the person who starts the service. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Variables whose value must not reach a child's environment, a log or an error. */
const secretVariables = ['JR_AUTH_TOKEN', 'JR_B2_APP_KEY', 'JR_SSH_PASSWORD', 'JR_JOIN_TOKEN'];

/** The file of SSH hosts may name any of these for a password. */
const passwordVariable = /^JR_SSH_PASSWORD(_[A-Z0-9_]+)?$/;

/** The settings as given, less the secrets: what a child that reads its own {@link Config} may be started with. */
export function publicSettings(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] =>
        entry[0] in environmentSchema.shape && !secretVariables.includes(entry[0]) && !!entry[1],
    ),
  );
}

export interface B2Config {
  bucket: string | undefined;
  endpoint: string;
  region: string;
  keyId: string;
  appKey: string;
  mount: string;
}

/** All settings, checked. Byte counts are bytes; 0 in a limit means none but the free disk. */
export interface Config {
  role: 'controller' | 'worker';
  root: string;
  host: string;
  port: number;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** Absent when the stack is to make one (or has left it in the secrets folder). */
  authToken: string | undefined;
  templates: string | undefined;
  limits: { uploadBytes: number; extractBytes: number; extractFiles: number };
  /** Absent parts are detected when the stack starts. */
  node: {
    gpus: number | undefined;
    cpus: number | undefined;
    memoryMb: number | undefined;
    gpuType: string;
    simulatedGpus: number;
    maxTime: string;
    useCgroups: boolean;
  };
  ports: { slurmctld: number; slurmd: number; slurmdbd: number };
  gpus: {
    shardsPerGpu: number;
    llmConfig: string;
    /** Fractions of 1. */
    memThreshold: number;
    loadThreshold: number;
    monitorSeconds: number;
    /** 0: never. */
    idleWarnMinutes: number;
    stateFile: string;
    stateSeconds: number;
  };
  jobsFile: { path: string; seconds: number; screen: boolean };
  handOver: { attempts: number; waitSeconds: number };
  ssh: {
    nodesFile: string;
    /** Whether the file was named, so that it must be there. */
    isNamed: boolean;
    slurmdPort: number;
    /** Between two looks at each host. */
    watchSeconds: number;
    /** By the name of their variable. Only the stack has any. */
    passwords: Record<string, string>;
  };
  /** Where worker boxes join; undefined when none may. */
  join: { port: number; timeoutSeconds: number; tokenFile: string | undefined } | undefined;
  /** What everybody may have who has no limits of their own; 0 for no limit. */
  userLimits: { max_jobs: number; max_running: number; max_gpus: number; max_stored_bytes: number };
  /** The queue server's API. */
  queue: { gpus: number; timeoutMultiplier: number; isPublic: boolean };
  trustedProxies: number;
  /** Undefined when imports are off. */
  b2: B2Config | undefined;
}

/**
 * Reads the environment into a {@link Config}. Empty variables count as unset.
 * @throws ConfigError naming each variable that cannot be used, in one line.
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const given = Object.fromEntries(
    Object.entries(env).filter(([name, value]) => name.startsWith('JR_') && value !== ''),
  );
  const unknown = Object.keys(given).filter(
    (name) => !(name in environmentSchema.shape) && !passwordVariable.test(name),
  );
  if (unknown.length > 0)
    throw new ConfigError(`${unknown.join(', ')}: no such setting; see the table in README.md`);
  const parsed = environmentSchema.safeParse(given);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `${issue.path.join('.')}: ${issue.message}`,
    );
    throw new ConfigError(problems.join('; '));
  }
  const e = parsed.data;
  const secrets = secretsFolder(e.JR_ROOT);

  refuseSharedPorts({
    JR_PORT: e.JR_PORT,
    JR_SLURMCTLD_PORT: e.JR_SLURMCTLD_PORT,
    JR_SLURMD_PORT: e.JR_SLURMD_PORT,
    JR_SLURMDBD_PORT: e.JR_SLURMDBD_PORT,
    ...(e.JR_JOIN_PORT !== undefined && { JR_JOIN_PORT: e.JR_JOIN_PORT }),
  });
  if (e.JR_ROOT === '/') throw new ConfigError('JR_ROOT: / cannot be used; name a folder');
  if (e.JR_ROOT.length > 60)
    throw new ConfigError('JR_ROOT: longer than 60 characters, too long for the daemons’ sockets');
  if (e.JR_SIMULATE_GPUS > 0 && e.JR_NUM_GPUS !== undefined && e.JR_NUM_GPUS !== e.JR_SIMULATE_GPUS)
    throw new ConfigError('JR_NUM_GPUS: leave it unset when JR_SIMULATE_GPUS is set');

  return {
    role: e.JR_ROLE,
    root: e.JR_ROOT,
    host: e.JR_HOST,
    port: e.JR_PORT,
    logLevel: e.JR_LOG_LEVEL,
    authToken: e.JR_AUTH_TOKEN ?? readSecret(join(secrets, 'auth-token')),
    templates: e.JR_TEMPLATES,
    limits: {
      uploadBytes: e.JR_MAX_UPLOAD_GB,
      extractBytes: e.JR_MAX_EXTRACT_GB,
      extractFiles: e.JR_MAX_EXTRACT_FILES,
    },
    node: {
      gpus: e.JR_NUM_GPUS,
      cpus: e.JR_NUM_CPUS,
      memoryMb: e.JR_REAL_MEM_MB,
      gpuType: e.JR_GPU_TYPE,
      simulatedGpus: e.JR_SIMULATE_GPUS,
      maxTime: e.JR_MAX_TIME,
      useCgroups: e.JR_USE_CGROUPS,
    },
    ports: {
      slurmctld: e.JR_SLURMCTLD_PORT,
      slurmd: e.JR_SLURMD_PORT,
      slurmdbd: e.JR_SLURMDBD_PORT,
    },
    gpus: {
      shardsPerGpu: e.JR_SHARDS_PER_GPU,
      llmConfig: e.JR_LLM_CONFIG ?? join(e.JR_ROOT, 'llm_config.json'),
      memThreshold: e.JR_GPU_MEM_THRESHOLD,
      loadThreshold: e.JR_GPU_LOAD_THRESHOLD,
      monitorSeconds: e.JR_GPU_MONITOR_INTERVAL,
      idleWarnMinutes: e.JR_GPU_IDLE_WARN,
      stateFile: e.JR_GPU_STATE_FILE ?? join(e.JR_ROOT, 'gpu_scheduler_state.json'),
      stateSeconds: e.JR_GPU_STATE_INTERVAL,
    },
    jobsFile: {
      path: e.JR_JOBS_FILE ?? join(e.JR_ROOT, 'jobs.txt'),
      seconds: e.JR_JOBS_FILE_INTERVAL,
      screen: e.JR_SCREEN,
    },
    handOver: { attempts: e.JR_MAX_ASSIGN_ATTEMPTS, waitSeconds: e.JR_ASSIGN_RETRY_WAIT },
    ssh: {
      nodesFile: e.JR_SSH_NODES ?? join(e.JR_ROOT, 'ssh_nodes.yaml'),
      isNamed: e.JR_SSH_NODES !== undefined,
      slurmdPort: e.JR_SSH_SLURMD_PORT,
      watchSeconds: e.JR_SSH_WATCH_INTERVAL,
      passwords: passwordsOf(given),
    },
    join:
      e.JR_JOIN_PORT === undefined
        ? undefined
        : {
            port: e.JR_JOIN_PORT,
            timeoutSeconds: e.JR_BOX_TIMEOUT,
            tokenFile: e.JR_JOIN_TOKEN_FILE,
          },
    userLimits: {
      max_jobs: e.JR_USER_MAX_JOBS,
      max_running: e.JR_USER_MAX_RUNNING,
      max_gpus: e.JR_USER_MAX_GPUS,
      max_stored_bytes: e.JR_USER_MAX_STORED_GB,
    },
    queue: {
      gpus: e.JR_QUEUE_GPUS,
      timeoutMultiplier: e.JR_MAX_TIMEOUT_MULTIPLIER,
      isPublic: e.JR_PUBLIC_STATUS,
    },
    trustedProxies: e.JR_TRUSTED_PROXIES,
    b2: readB2(e, secrets),
  };
}

/** What the `jobrunner` commands need, which run beside the service or far from it. */
export interface ClientConfig {
  url: string;
  /** Whether that is this machine. */
  isLocal: boolean;
  /** Read when it is needed, since not every user may. @throws ConfigError with the remedy. */
  token(): string;
  root: string;
  jobsFile: string;
  /** The kind of the caller's terminal, as terminfo names it. */
  term: string | undefined;
}

/**
 * Reads what the commands need of the environment, and nothing else of it. The token that the stack left here is for this
 * machine's API alone: another is never shown it.
 * @param url instead of `JR_URL`
 * @throws ConfigError naming what cannot be used, in one line.
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
  const given = Object.entries({ ...env, ...(url !== undefined && { JR_URL: url }) });
  const parsed = schema.safeParse(Object.fromEntries(given.filter(([, value]) => value !== '')));
  if (!parsed.success)
    throw new ConfigError(
      parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '),
    );
  const e = parsed.data;
  const here = localUrl({ host: e.JR_HOST, port: e.JR_PORT });
  const isLocal =
    e.JR_URL === undefined || /^(127\.[\d.]+|localhost|\[::1\])$/.test(new URL(e.JR_URL).hostname);
  const reach = (e.JR_URL ?? here).replace(/\/+$/, '');
  return {
    url: reach,
    isLocal,
    token: () => {
      const path = join(secretsFolder(e.JR_ROOT), 'auth-token');
      const token = e.JR_AUTH_TOKEN ?? (isLocal ? readOwnToken(path) : undefined);
      if (token !== undefined) return token;
      const where = isLocal ? `and there is no ${path}` : `and ${reach} wants its own`;
      throw new ConfigError(`JR_AUTH_TOKEN: not set, ${where}`);
    },
    root: e.JR_ROOT,
    jobsFile: e.JR_JOBS_FILE ?? join(e.JR_ROOT, 'jobs.txt'),
    term: env['TERM'],
  };
}

/** Where everything lies. @throws ConfigError */
export function rootOf(env: NodeJS.ProcessEnv = process.env): string {
  const parsed = environmentSchema.shape.JR_ROOT.safeParse(env['JR_ROOT'] || undefined);
  if (!parsed.success) throw new ConfigError(`JR_ROOT: ${parsed.error.issues[0]?.message ?? ''}`);
  return parsed.data;
}

/** What makes this machine a box of another one's cluster. */
export interface WorkerConfig {
  controller: { host: string; port: number };
  token: JoinToken;
  /** Undefined: the key is handed over. */
  mungeKeyFile: string | undefined;
}

/**
 * @returns undefined unless `JR_ROLE=worker`.
 * @throws ConfigError naming what is missing.
 */
export function readWorkerConfig(env: NodeJS.ProcessEnv = process.env): WorkerConfig | undefined {
  if (env['JR_ROLE'] !== 'worker') return undefined;
  readConfig(env);
  const e = environmentSchema
    .pick({
      JR_CONTROLLER: true,
      JR_JOIN_TOKEN: true,
      JR_JOIN_TOKEN_FILE: true,
      JR_MUNGE_KEY_FILE: true,
    })
    .parse(Object.fromEntries(Object.entries(env).filter(([, value]) => value !== '')));
  const token = e.JR_JOIN_TOKEN ?? (e.JR_JOIN_TOKEN_FILE && readSecret(e.JR_JOIN_TOKEN_FILE));
  if (token !== undefined && !joinTokenPattern.test(token))
    throw new ConfigError(`JR_JOIN_TOKEN_FILE: ${e.JR_JOIN_TOKEN_FILE} holds no join token`);
  if (e.JR_CONTROLLER === undefined || token === undefined)
    throw new ConfigError(
      'JR_ROLE: is worker, so JR_CONTROLLER and JR_JOIN_TOKEN (or JR_JOIN_TOKEN_FILE) must be set; "jobrunner box token" on the controller prints the latter',
    );
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(e.JR_CONTROLLER) ?? [];
  return {
    controller: { host, port: Number(port) },
    token: parseJoinToken(token),
    mungeKeyFile: e.JR_MUNGE_KEY_FILE,
  };
}

/** What the processes need that reach SSH hosts from here; they run as `jr-remote`. */
export interface RemoteConfig {
  root: string;
  aliveSeconds: number;
  watchSeconds: number;
  shardsPerGpu: number;
  /** Undefined where there is no Slurm to ask. */
  slurmConf: string | undefined;
  /** What Slurm tells a job; undefined outside of one. */
  slurm: { node: string; jobId: string; gpus: string; shards: string; restart: number } | undefined;
}

/** @throws ConfigError naming what cannot be used, in one line. */
export function readRemoteConfig(env: NodeJS.ProcessEnv = process.env): RemoteConfig {
  const parsed = environmentSchema
    .pick({
      JR_ROOT: true,
      JR_SHARDS_PER_GPU: true,
      JR_SSH_ALIVE_INTERVAL: true,
      JR_SSH_WATCH_INTERVAL: true,
    })
    .safeParse(Object.fromEntries(Object.entries(env).filter(([, value]) => value !== '')));
  if (!parsed.success)
    throw new ConfigError(
      parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '),
    );
  const { SLURMD_NODENAME: node, SLURM_JOB_ID: jobId } = env;
  return {
    root: parsed.data.JR_ROOT,
    aliveSeconds: parsed.data.JR_SSH_ALIVE_INTERVAL,
    watchSeconds: parsed.data.JR_SSH_WATCH_INTERVAL,
    shardsPerGpu: parsed.data.JR_SHARDS_PER_GPU,
    slurmConf: env['SLURM_CONF'],
    slurm:
      node === undefined || jobId === undefined
        ? undefined
        : {
            node,
            jobId,
            gpus: env['SLURM_JOB_GPUS'] ?? '',
            shards: env['SLURM_SHARDS_ON_NODE'] ?? '',
            restart: Number(env['SLURM_RESTART_COUNT'] ?? 0),
          },
  };
}

/**
 * Where the SSH hosts are named, and their passwords, for the commands that root runs on the box.
 * @throws ConfigError naming what cannot be used, in one line.
 */
export function readSshConfig(
  env: NodeJS.ProcessEnv = process.env,
): Pick<Config['ssh'], 'nodesFile' | 'passwords'> {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = environmentSchema.pick({ JR_ROOT: true, JR_SSH_NODES: true }).safeParse(given);
  if (!parsed.success)
    throw new ConfigError(
      parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '),
    );
  const { JR_ROOT: root, JR_SSH_NODES: nodesFile } = parsed.data;
  return {
    nodesFile: nodesFile ?? join(root, 'ssh_nodes.yaml'),
    passwords: passwordsOf(given),
  };
}

function passwordsOf(given: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).filter(
      (entry): entry is [string, string] =>
        passwordVariable.test(entry[0]) && entry[1] !== undefined,
    ),
  );
}

function readOwnToken(path: string): string | undefined {
  try {
    return readSecret(path);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`${error.message}: run this as root (sudo), or set JR_AUTH_TOKEN`);
  }
}

/** Where the stack leaves secrets for the API; only the API's user can read it. */
export function secretsFolder(root: string): string {
  return join(root, 'secrets');
}

/** The address to reach the API at from this machine. */
export function localUrl(config: Pick<Config, 'host' | 'port'>): string {
  const anywhere = config.host === '0.0.0.0' || config.host === '::';
  const host = anywhere ? '127.0.0.1' : config.host;
  return `http://${isIPv6(host) ? `[${host}]` : host}:${config.port}`;
}

function refuseSharedPorts(ports: Record<string, number>): void {
  const seen = new Map<number, string>();
  for (const [name, value] of Object.entries(ports)) {
    const other = seen.get(value);
    if (other !== undefined) throw new ConfigError(`${name}: port ${value} is ${other}'s already`);
    seen.set(value, name);
  }
}

function readB2(e: z.infer<typeof environmentSchema>, secrets: string): B2Config | undefined {
  if (!e.JR_B2_ENABLE) return undefined;
  const appKey = e.JR_B2_APP_KEY ?? readSecret(join(secrets, 'b2-app-key'));
  if (e.JR_B2_KEY_ID === undefined || appKey === undefined)
    throw new ConfigError('JR_B2_ENABLE: is 1, so JR_B2_KEY_ID and JR_B2_APP_KEY must be set');
  return {
    bucket: e.JR_B2_BUCKET,
    endpoint: e.JR_B2_ENDPOINT,
    region: e.JR_B2_REGION ?? regionOf(e.JR_B2_ENDPOINT),
    keyId: e.JR_B2_KEY_ID,
    appKey,
    mount: e.JR_B2_MOUNT,
  };
}

/** `us-west-004` from `https://s3.us-west-004.backblazeb2.com`; B2 and AWS both name hosts so. */
function regionOf(endpoint: string): string {
  return /^s3[.-]([a-z0-9-]+)\./.exec(new URL(endpoint).hostname)?.[1] ?? 'us-east-1';
}

function readSecret(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === 'EACCES') throw new ConfigError(`${path}: not readable by this user`);
    throw error;
  }
}
