import { z } from 'zod';
import { absolutePath, wholeNumber } from '../kinds.js';

const slurmName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, 'expected a name as Slurm allows it');

/** An external cluster. */
export const externalVariables = {
  JR_SLURM_MODE: z
    .enum(['internal', 'external'], { error: 'expected internal or external' })
    .default('internal')
    .meta({ description: '`external`: run the API alone, over an existing Slurm' }),
  JR_SLURM_CONF: absolutePath.optional().meta({
    shown: 'Slurm’s own',
    description: 'slurm.conf of the external cluster, for its commands',
  }),
  JR_SLURMRESTD_URL: z
    .string()
    .regex(
      /^(https?:\/\/[^\s/?#@]+(\/[^\s?#@]*)?|unix:\/[^\s?#]+)$/,
      'expected a URL such as http://slurm:6820 or unix:/run/slurmrestd.socket, without a user name or password',
    )
    .optional()
    .meta({
      shown: 'none',
      description: 'slurmrestd of the external cluster, instead of its commands',
    }),
  JR_SLURM_JWT: z
    .string()
    .regex(/^[\w-]+\.[\w-]+\.[\w-]+$/, 'expected a JSON Web Token as "scontrol token" prints it')
    .optional()
    .meta({ shown: 'none', description: 'Token for slurmrestd' }),
  JR_SLURM_JWT_FILE: absolutePath.optional().meta({
    shown: 'none',
    description: 'File with that token, read before each request because tokens expire',
  }),
  JR_SLURM_USER: z
    .string()
    .regex(/^[a-z_][a-z0-9_.-]{0,63}$/i, 'expected the name of a user')
    .optional()
    .meta({
      shown: 'the API’s own, or the token’s',
      description: 'User that runs jobs on the external cluster; the commands then need sudo',
    }),
  JR_SLURM_GROUP: z
    .string()
    .regex(/^[a-z_][a-z0-9_.-]{0,63}$/i, 'expected the name of a group')
    .optional()
    .meta({
      shown: 'the API’s own',
      description: 'Group through which the API and that user share files',
    }),
  JR_SLURM_PARTITION: slurmName.optional().meta({
    shown: 'the external cluster’s default',
    description: 'Partition for jobs without one on the external cluster',
  }),
  JR_SLURM_ACCOUNT: slurmName.optional().meta({
    shown: 'the external cluster’s default',
    description: 'Account of all jobs on the external cluster',
  }),
  JR_SLURM_QOS: slurmName.optional().meta({
    shown: 'the external cluster’s default',
    description: 'QOS of all jobs on the external cluster',
  }),
  JR_SLURM_POLL_SECONDS: wholeNumber(1, 3600).optional().meta({
    shown: '1; 5 on an external cluster',
    description: 'Seconds between two queries to slurmctld while there are jobs',
  }),
};
