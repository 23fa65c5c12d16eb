import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { ConfigError } from './config-error.js';
import { readExternal, type ExternalSlurm } from './external.js';
import { environmentSchema, given, parseEnvironment, type Environment } from './environment.js';
import { readGitQueue, type GitQueueConfig } from './git-queue.js';
import { readGitLab, type GitLabConfig } from './gitlab.js';
import { secretsFolder } from './layout.js';
import { unknownNames } from '../schema-problems.js';
import { passwordsOf, passwordVariable, readSecret } from './secrets.js';

export interface B2Config {
  bucket: string | undefined;
  endpoint: string;
  region: string;
  keyId: string;
  appKey: string;
  mount: string;
}

/**
 * All settings, checked. Sizes are in bytes; a limit of 0 leaves only the free disk as the limit.
 */
export interface Config {
  role: 'controller' | 'worker';
  /** Undefined for our own cluster. */
  external: ExternalSlurm | undefined;
  /** Seconds between two polls of slurmctld while any job lives. */
  pollSeconds: number;
  root: string;
  host: string;
  port: number;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** Undefined when the stack generates one or has left it in the secrets folder. */
  authToken: string | undefined;
  templates: string | undefined;
  limits: { uploadBytes: number; extractBytes: number; extractFiles: number };
  /** Undefined fields are detected when the stack starts. */
  node: {
    gpus: number | undefined;
    cpus: number | undefined;
    memoryMb: number | undefined;
    gpuType: string;
    simulatedGpus: number;
    maxTime: string;
    useCgroups: boolean;
  };
  /** Number of Unix users for jobs, besides the owner's. */
  jobUsers: number;
  ports: { slurmctld: number; slurmd: number; slurmdbd: number };
  gpus: {
    shardsPerGpu: number;
    llmConfig: string;
    /** Fractions of 1. */
    memThreshold: number;
    loadThreshold: number;
    monitorSeconds: number;
    /** 0 for never. */
    idleWarnMinutes: number;
    stateFile: string;
    stateSeconds: number;
  };
  jobsFile: { path: string; seconds: number; screen: boolean };
  /** Undefined where no GitLab is scanned. */
  gitlab: GitLabConfig | undefined;
  /** Undefined where no git queue is set. */
  gitQueue: GitQueueConfig | undefined;
  submitRetries: { attempts: number; waitSeconds: number };
  /** Settings for claims that other servers compete for. */
  ingest: {
    /** Undefined for the host's name with a random suffix. */
    worker: string | undefined;
    leaseMs: number;
    /** Has no slash at its end. */
    publicUrl: string | undefined;
  };
  ssh: {
    nodesFile: string;
    /** True when the user named the file, so that it must exist. */
    isNamed: boolean;
    slurmdPort: number;
    /** Seconds between two checks of each host. */
    watchSeconds: number;
    /** Passwords by the name of their variable; only the stack has any. */
    passwords: Record<string, string>;
  };
  /** The port where workers join; undefined when none may. */
  join:
    | {
        port: number;
        /** Where slurmctld finds the workers' slurmds; on loopback. */
        slurmdPort: number;
        timeoutSeconds: number;
        tokenFile: string | undefined;
      }
    | undefined;
  /** Limits of users who have none of their own; 0 for no limit. */
  userLimits: { max_jobs: number; max_running: number; max_gpus: number; max_stored_bytes: number };
  /** Largest log of a job, in bytes. */
  maxLogBytes: number;
  /** Least time between two measures of what a user's jobs keep on the disk. */
  measureSeconds: number;
  /** File with variables of every job. */
  jobEnvFile: string | undefined;
  /** The queue server's API. */
  queue: { gpus: number; timeoutMultiplier: number; isPublic: boolean };
  /** Addresses and networks. */
  trustedProxies: readonly string[];
  /** Longest wait of a request that came through a proxy, in seconds. */
  proxyWait: number;
  /** Names at which browsers reach the API, besides those that every machine has. */
  allowedHosts: readonly string[];
  /** Undefined when imports are off. */
  b2: B2Config | undefined;
}

/**
 * Reads the environment into a {@link Config}. Empty variables count as unset.
 * @throws ConfigError naming each unusable variable, in one line.
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const ours = Object.fromEntries(
    Object.entries(given(env)).filter(([name]) => name.startsWith('JR_')),
  );
  const unknown = Object.keys(ours).filter(
    (name) => !(name in environmentSchema.shape) && !passwordVariable.test(name),
  );
  if (unknown.length > 0)
    throw new ConfigError(
      unknownNames(
        unknown,
        'setting',
        Object.keys(environmentSchema.shape),
        'see docs/settings.md',
      ),
    );
  const e = parseEnvironment(environmentSchema, ours);
  const secrets = secretsFolder(e.JR_ROOT);
  const publicHost = e.JR_PUBLIC_URL === undefined ? undefined : new URL(e.JR_PUBLIC_URL).hostname;
  const external = readExternal(e, ours, env['PATH'] ?? '/usr/bin:/bin');

  refuseSharedPorts({
    JR_PORT: e.JR_PORT,
    JR_SLURMCTLD_PORT: e.JR_SLURMCTLD_PORT,
    JR_SLURMD_PORT: e.JR_SLURMD_PORT,
    JR_SLURMDBD_PORT: e.JR_SLURMDBD_PORT,
    ...(e.JR_JOIN_PORT !== undefined && {
      JR_JOIN_PORT: e.JR_JOIN_PORT,
      JR_WORKER_SLURMD_PORT: e.JR_WORKER_SLURMD_PORT,
    }),
  });
  if (e.JR_ROOT === '/') throw new ConfigError('JR_ROOT: / cannot be used; name a folder');
  if (e.JR_ROOT.length > 60)
    throw new ConfigError(
      'JR_ROOT: longer than 60 characters; the daemons’ socket paths would be too long',
    );
  if (e.JR_SIMULATE_GPUS > 0 && e.JR_NUM_GPUS !== undefined && e.JR_NUM_GPUS !== e.JR_SIMULATE_GPUS)
    throw new ConfigError('JR_NUM_GPUS: cannot be set together with JR_SIMULATE_GPUS');

  return {
    role: e.JR_ROLE,
    external,
    pollSeconds: e.JR_SLURM_POLL_SECONDS ?? (external ? 5 : 1),
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
    jobUsers: e.JR_JOB_USERS,
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
    ingest: {
      worker: e.JR_WORKER_ID,
      leaseMs: e.JR_LEASE_MINUTES * 60_000,
      publicUrl: e.JR_PUBLIC_URL,
    },
    gitlab: readGitLab(e, secrets),
    gitQueue: readGitQueue(e, secrets, env),
    submitRetries: { attempts: e.JR_MAX_ASSIGN_ATTEMPTS, waitSeconds: e.JR_ASSIGN_RETRY_WAIT },
    ssh: {
      nodesFile: e.JR_SSH_NODES ?? join(e.JR_ROOT, 'ssh_nodes.yaml'),
      isNamed: e.JR_SSH_NODES !== undefined,
      slurmdPort: e.JR_SSH_SLURMD_PORT,
      watchSeconds: e.JR_SSH_WATCH_INTERVAL,
      passwords: passwordsOf(ours),
    },
    join:
      e.JR_JOIN_PORT === undefined
        ? undefined
        : {
            port: e.JR_JOIN_PORT,
            slurmdPort: e.JR_WORKER_SLURMD_PORT,
            timeoutSeconds: e.JR_WORKER_TIMEOUT,
            tokenFile: e.JR_JOIN_TOKEN_FILE,
          },
    userLimits: {
      max_jobs: e.JR_USER_MAX_JOBS,
      max_running: e.JR_USER_MAX_RUNNING,
      max_gpus: e.JR_USER_MAX_GPUS,
      max_stored_bytes: e.JR_USER_MAX_STORED_GB,
    },
    maxLogBytes: e.JR_MAX_LOG_GB,
    measureSeconds: e.JR_MEASURE_INTERVAL,
    jobEnvFile: e.JR_JOB_ENV_FILE,
    queue: {
      gpus: e.JR_QUEUE_GPUS,
      timeoutMultiplier: e.JR_MAX_TIMEOUT_MULTIPLIER,
      isPublic: e.JR_PUBLIC_STATUS,
    },
    trustedProxies: e.JR_TRUSTED_PROXIES,
    proxyWait: e.JR_PROXY_WAIT,
    allowedHosts: [...e.JR_ALLOWED_HOSTS, ...(publicHost === undefined ? [] : [publicHost])],
    b2: readB2(e, secrets),
  };
}

/** Returns the address of the API for clients on this machine. */
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

function readB2(e: Environment, secrets: string): B2Config | undefined {
  if (!e.JR_B2_ENABLE) return undefined;
  const appKey = e.JR_B2_APP_KEY ?? readSecret(join(secrets, 'b2-app-key'));
  if (e.JR_B2_KEY_ID === undefined || appKey === undefined)
    throw new ConfigError('JR_B2_ENABLE: needs JR_B2_KEY_ID and JR_B2_APP_KEY, too');
  return {
    bucket: e.JR_B2_BUCKET,
    endpoint: e.JR_B2_ENDPOINT,
    region: e.JR_B2_REGION ?? regionOf(e.JR_B2_ENDPOINT),
    keyId: e.JR_B2_KEY_ID,
    appKey,
    mount: e.JR_B2_MOUNT,
  };
}

/** Finds `us-west-004` in `https://s3.us-west-004.backblazeb2.com`; B2 and AWS name hosts alike. */
function regionOf(endpoint: string): string {
  return /^s3[.-]([a-z0-9-]+)\./.exec(new URL(endpoint).hostname)?.[1] ?? 'us-east-1';
}
