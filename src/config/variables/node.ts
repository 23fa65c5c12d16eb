import { z } from 'zod';
import { MAX_JOB_USERS } from '../unix-users.js';
import { flag, port, timeLimit, wholeNumber } from '../kinds.js';

/** Node resources and cluster. */
export const nodeVariables = {
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
    description: 'Limit jobs to their memory and devices with cgroups (needs writable cgroups)',
  }),
  JR_JOB_USERS: wholeNumber(1, MAX_JOB_USERS).default(100).meta({
    description:
      'Unix users for jobs besides the owner’s; each start makes the missing ones and removes none',
  }),
  JR_SIMULATE_GPUS: wholeNumber(0, 64)
    .default(0)
    .meta({ description: 'Pretend to have this many GPUs, for tests and laptops' }),
  JR_TORCH: z
    .enum(['auto', 'debian', 'pip', 'none'], { error: 'expected auto, debian, pip or none' })
    .default('auto')
    .meta({
      description:
        'PyTorch that `./run.sh` installs: `auto` (Debian’s, for CPUs, if jobs find none), `debian`, `pip` (the CUDA build, in `/opt/torch`) or `none`',
    }),
  JR_SLURMCTLD_PORT: port(6817).meta({ description: 'Port of slurmctld, on loopback' }),
  JR_SLURMD_PORT: port(6818).meta({ description: 'Port of slurmd, on loopback' }),
  JR_SLURMDBD_PORT: port(6819).meta({ description: 'Port of slurmdbd, on loopback' }),
};
