import { z } from 'zod';
import { joinTokenPattern } from './boxes/join-token.js';
import { parseTimeLimit } from './slurm/time-limit.js';

const GB = 1024 ** 3;

const flag = (fallback: '0' | '1') =>
  z
    .enum(['0', '1', 'true', 'false'], { error: 'expected 0 or 1' })
    .default(fallback)
    .transform((v) => v === '1' || v === 'true');

const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, `expected a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `expected a whole number from ${min} to ${max}`);

const port = (fallback: number) => wholeNumber(1, 65535).default(fallback);

/** Gigabytes (2^30), fractions allowed, to bytes. 0 means no limit but the free disk. */
const gigabytes = (fallback: number) =>
  z
    .string()
    .regex(/^\d+(\.\d+)?$/, 'expected a number of gigabytes such as 50 or 0.5; 0 means no limit')
    .default(String(fallback))
    .transform((v) => Math.floor(Number(v) * GB));

/** A fraction above 0, at most 1. */
const share = (fallback: number) =>
  z
    .string()
    .regex(/^(0?\.\d+|1(\.0+)?|0\.\d+)$/, 'expected a fraction from 0.01 to 1, such as 0.8')
    .default(String(fallback))
    .transform(Number)
    .refine((n) => n >= 0.01, 'expected a fraction from 0.01 to 1, such as 0.8');

const absolutePath = z
  .string()
  .regex(/^\/[^\0\n'"\\ ]*$/, 'expected an absolute path without spaces or quotes')
  .transform((p) => (p.length > 1 ? p.replace(/\/+$/, '') : p));

const timeLimit = z.string().refine((v) => {
  const limit = parseTimeLimit(v);
  return limit === 'UNLIMITED' || (limit !== undefined && limit > 0);
}, 'expected a Slurm time such as 7-00:00:00, 90 (minutes) or UNLIMITED');

/**
 * Every variable the service reads. The description is the one in the README's table, which a test holds
 * against this schema; `default` there is what the reader is told when it is not a plain value.
 */
export const environmentSchema = z.object({
  JR_AUTH_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]{8,512}$/, 'expected 8 to 512 printable characters without spaces')
    .optional()
    .meta({ shown: 'random, printed once', description: 'Bearer token of the API' }),
  JR_ROOT: absolutePath
    .default('/opt/jobrunner')
    .meta({ description: 'Folder that holds datasets, results, logs, database and daemon state' }),
  JR_HOST: z
    .string()
    .regex(/^[A-Za-z0-9.:-]+$/, 'expected an address such as 0.0.0.0 or 127.0.0.1')
    .default('0.0.0.0')
    .meta({ description: 'Address the API listens on' }),
  JR_PORT: port(8080).meta({ description: 'Port the API listens on' }),
  JR_URL: z
    .url({ protocol: /^https?$/, error: 'expected an http(s) URL' })
    .optional()
    .meta({
      shown: 'the API of this machine',
      description: 'Where the `jobrunner` commands find the API',
    }),
  JR_NUM_GPUS: wholeNumber(0, 64)
    .optional()
    .meta({ shown: 'detected', description: 'Number of GPUs given to jobs' }),
  JR_NUM_CPUS: wholeNumber(1, 4096)
    .optional()
    .meta({ shown: 'detected', description: 'Number of CPUs given to jobs' }),
  JR_REAL_MEM_MB: wholeNumber(128, 64 * 1024 * 1024)
    .optional()
    .meta({ shown: 'detected', description: 'Memory given to jobs, in MiB' }),
  JR_GPU_TYPE: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,30}$/, 'expected lower-case letters, digits and _ such as nvidia')
    .default('nvidia')
    .meta({ description: 'GPU type; device N is the Slurm GRES gpu:<type>N' }),
  JR_MAX_TIME: timeLimit
    .default('7-00:00:00')
    .meta({ description: 'Longest time limit a job may ask for' }),
  JR_USE_CGROUPS: flag('0').meta({
    description: 'Hold jobs to their memory and devices with cgroups (needs writable cgroups)',
  }),
  JR_SIMULATE_GPUS: wholeNumber(0, 64)
    .default(0)
    .meta({ description: 'Pretend to have this many GPUs, for tests and laptops' }),
  JR_SHARDS_PER_GPU: wholeNumber(1, 1000)
    .default(100)
    .meta({ description: 'Equal shares a GPU is cut into; the smallest fraction is one share' }),
  JR_LLM_CONFIG: absolutePath.optional().meta({
    shown: '`JR_ROOT/llm_config.json`',
    description: 'File that says how much of a GPU each model needs',
  }),
  JR_GPU_MEM_THRESHOLD: share(0.8).meta({
    description: 'Fraction of a GPU’s memory that strangers may hold before no job starts there',
  }),
  JR_GPU_LOAD_THRESHOLD: share(0.8).meta({
    description: 'Fraction of a GPU’s time that strangers may use before no job starts there',
  }),
  JR_GPU_MONITOR_INTERVAL: wholeNumber(1, 3600)
    .default(10)
    .meta({ description: 'Seconds between two looks at the GPUs with nvidia-smi' }),
  JR_GPU_IDLE_WARN: wholeNumber(0, 10_000).default(30).meta({
    description: 'Minutes after which a running job whose GPU does nothing is flagged; 0 = never',
  }),
  JR_GPU_STATE_FILE: absolutePath.optional().meta({
    shown: '`JR_ROOT/gpu_scheduler_state.json`',
    description: 'File in which GPUs can be paused and resumed by editing it',
  }),
  JR_GPU_STATE_INTERVAL: wholeNumber(1, 3600)
    .default(20)
    .meta({ description: 'Seconds between two looks at that file' }),
  JR_JOBS_FILE: absolutePath.optional().meta({
    shown: '`JR_ROOT/jobs.txt`',
    description: 'File whose appended lines become jobs',
  }),
  JR_JOBS_FILE_INTERVAL: wholeNumber(1, 3600)
    .default(30)
    .meta({ description: 'Seconds within which an appended line becomes a job' }),
  JR_SCREEN: flag('0').meta({
    description: 'Run the jobs of the jobs file inside GNU screen',
  }),
  JR_MAX_ASSIGN_ATTEMPTS: wholeNumber(1, 1000).default(5).meta({
    description: 'Times a job is handed to a Slurm that cannot take it now, its queue being full',
  }),
  JR_ASSIGN_RETRY_WAIT: wholeNumber(1, 3600)
    .default(5)
    .meta({ description: 'Seconds before the second of them; doubled for each one after' }),
  JR_SLURMCTLD_PORT: port(6817).meta({ description: 'Port of slurmctld, on loopback' }),
  JR_SLURMD_PORT: port(6818).meta({ description: 'Port of slurmd, on loopback' }),
  JR_SLURMDBD_PORT: port(6819).meta({ description: 'Port of slurmdbd, on loopback' }),
  JR_SSH_NODES: absolutePath.optional().meta({
    shown: '`JR_ROOT/ssh_nodes.yaml`',
    description: 'File that names the SSH hosts of the partition ssh',
  }),
  JR_SSH_PASSWORD: z.string().min(1).max(1024).optional().meta({
    shown: 'none',
    description:
      'Password of SSH hosts whose `password_variable` names it; JR_SSH_PASSWORD_… for others',
  }),
  JR_SSH_SLURMD_PORT: port(6900).meta({
    description: 'First of the ports, on loopback, of the slurmd that stand for SSH hosts',
  }),
  JR_SSH_ALIVE_INTERVAL: wholeNumber(1, 3600).default(15).meta({
    description:
      'Seconds between two questions whether an SSH host is there; three without an answer break the connection',
  }),
  JR_SSH_WATCH_INTERVAL: wholeNumber(1, 3600)
    .default(15)
    .meta({ description: 'Seconds between two looks at each SSH host' }),
  JR_ROLE: z
    .enum(['controller', 'worker'], { error: 'expected controller or worker' })
    .default('controller')
    .meta({ description: '`worker`: join the cluster of another box instead of being one' }),
  JR_JOIN_PORT: wholeNumber(1, 65535).optional().meta({
    shown: 'none',
    description: 'Port at which worker boxes join (TLS); slurmctld then listens to them, too',
  }),
  JR_BOX_TIMEOUT: wholeNumber(10, 3600)
    .default(120)
    .meta({ description: 'Seconds without a word from a worker box until its jobs are given up' }),
  JR_CONTROLLER: z
    .string()
    .regex(
      /^(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}$/,
      'expected an address such as 10.0.0.5:7000',
    )
    .optional()
    .meta({ shown: 'none', description: 'Worker: address and join port of the controller' }),
  JR_JOIN_TOKEN: z
    .string()
    .regex(joinTokenPattern, 'expected what "jobrunner box token" prints on the controller')
    .optional()
    .meta({ shown: 'none', description: 'Worker: what `jobrunner box token` prints there' }),
  JR_JOIN_TOKEN_FILE: absolutePath.optional().meta({
    shown: 'none',
    description: 'Worker: file to read that from; controller: file to write it to at its start',
  }),
  JR_MUNGE_KEY_FILE: absolutePath.optional().meta({
    shown: 'none',
    description: 'Worker: the cluster’s munge key, instead of the one handed over',
  }),
  JR_TEMPLATES: absolutePath
    .optional()
    .meta({ shown: 'none', description: 'Folder with job templates of your own' }),
  JR_MAX_UPLOAD_GB: gigabytes(0).meta({
    description: 'Largest upload or import, in GiB; 0 = the free disk',
  }),
  JR_MAX_EXTRACT_GB: gigabytes(0).meta({
    description: 'Most an archive may unpack to, in GiB; 0 = the free disk',
  }),
  JR_MAX_EXTRACT_FILES: wholeNumber(0, 1_000_000_000)
    .default(1_000_000)
    .meta({ description: 'Most files in an archive; 0 = no limit' }),
  JR_LOG_LEVEL: z
    .enum(['debug', 'info', 'warn', 'error'], { error: 'expected debug, info, warn or error' })
    .default('info')
    .meta({ description: 'How much the API logs' }),
  JR_USER_MAX_JOBS: wholeNumber(0, 1_000_000)
    .default(0)
    .meta({ description: 'Most queued and running jobs of one user; 0 = no limit' }),
  JR_USER_MAX_RUNNING: wholeNumber(0, 1_000_000)
    .default(0)
    .meta({ description: 'Most running jobs of one user; 0 = no limit' }),
  JR_USER_MAX_GPUS: z
    .string()
    .regex(/^\d{1,5}(\.\d+)?$/, 'expected a number of GPUs such as 2 or 0.5; 0 means no limit')
    .default('0')
    .transform(Number)
    .meta({ description: 'Most GPUs that one user’s jobs may have at once; 0 = no limit' }),
  JR_USER_MAX_STORED_GB: gigabytes(0).meta({
    description: 'Most that one user’s datasets and outputs may take, in GiB; 0 = no limit',
  }),
  JR_QUEUE_GPUS: z
    .string()
    .regex(/^(0?\.\d+|0\.\d+|\d{1,2})$/, 'expected a fraction such as 0.5, or a whole number')
    .default('1')
    .transform(Number)
    .meta({
      description:
        'GPUs of each job of the queue server’s API, with their share of CPUs and memory; fewer where there are fewer',
    }),
  JR_MAX_TIMEOUT_MULTIPLIER: z
    .string()
    .regex(/^\d{1,4}(\.\d+)?$/, 'expected a number such as 2 or 1.5')
    .default('2')
    .transform(Number)
    .refine((n) => n > 0, 'expected more than 0')
    .meta({
      description: 'A job of the queue server’s API is killed after its `expected_time` times this',
    }),
  JR_PUBLIC_STATUS: flag('0').meta({
    description: 'Let everybody read the queue server’s API without a token',
  }),
  JR_TRUSTED_PROXIES: wholeNumber(0, 10)
    .default(0)
    .meta({ description: 'Proxies in front of the API, whose X-Forwarded-For tells who asks' }),
  JR_B2_ENABLE: flag('0').meta({ description: 'Allow imports from B2 or S3' }),
  JR_B2_BUCKET: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{1,62}$/, 'expected a bucket name')
    .optional()
    .meta({ shown: 'none', description: 'Default bucket' }),
  JR_B2_ENDPOINT: z
    .url({ protocol: /^https?$/, error: 'expected an http(s) URL' })
    .default('https://s3.us-west-004.backblazeb2.com')
    .meta({ description: 'B2 or S3 endpoint' }),
  JR_B2_REGION: z
    .string()
    .regex(/^[a-z0-9-]+$/, 'expected a region such as us-west-004')
    .optional()
    .meta({ shown: 'from the endpoint', description: 'Region that requests are signed for' }),
  JR_B2_KEY_ID: z.string().optional().meta({ shown: 'none', description: 'Access key ID' }),
  JR_B2_APP_KEY: z.string().optional().meta({ shown: 'none', description: 'Secret key' }),
  JR_B2_MOUNT: absolutePath.default('/mnt/b2').meta({
    description:
      'Import paths under this folder name keys of the default bucket; nothing is mounted',
  }),
});
