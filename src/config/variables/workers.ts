import { z } from 'zod';
import { joinTokenPattern } from '../join-token.js';
import { absolutePath, gigabytes, port, wholeNumber } from '../kinds.js';

/** Workers and their controller. */
export const workersVariables = {
  JR_ROLE: z
    .enum(['controller', 'worker'], { error: 'expected controller or worker' })
    .default('controller')
    .meta({ description: '`worker`: join the cluster of another machine instead of running one' }),
  JR_JOIN_PORT: wholeNumber(1, 65535).optional().meta({
    shown: 'none',
    description: 'Port at which workers join (TLS)',
  }),
  JR_WORKER_SLURMD_PORT: port(6821).meta({
    description: 'Port, on loopback, at which slurmctld finds the workers’ slurmds',
  }),
  JR_WORKER_TIMEOUT: wholeNumber(10, 3600)
    .default(120)
    .meta({ description: 'Seconds of silence after which a worker is down and its jobs end' }),
  JR_CONTROLLER: z
    .string()
    .regex(
      /^(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}$/,
      'expected an address such as 10.0.0.5:7000',
    )
    .optional()
    .meta({ shown: 'none', description: 'Worker: address and join port of the controller' }),
  JR_CONTROLLER_TIMEOUT: wholeNumber(5, 3600).default(60).meta({
    description:
      'Worker: seconds without a byte until a connection to the controller counts as broken',
  }),
  JR_JOIN_TOKEN: z
    .string()
    .regex(joinTokenPattern, 'expected the output of "jobrunner worker token" on the controller')
    .optional()
    .meta({
      shown: 'none',
      description: 'Worker: join token, as `jobrunner worker token` prints it on the controller',
    }),
  JR_JOIN_TOKEN_FILE: absolutePath.optional().meta({
    shown: 'none',
    description: 'File with the join token: a worker reads it; a controller writes it at its start',
  }),
  JR_MUNGE_KEY_FILE: absolutePath.optional().meta({
    shown: 'none',
    description:
      'Worker: file with the cluster’s munge key, instead of the key that the controller sends',
  }),
  JR_CACHE_GB: gigabytes(0).meta({
    description:
      'Worker: largest total of its datasets, packed and unpacked, in GiB; the least recently used make room; 0 = the free disk',
  }),
};
