import { z } from 'zod';
import { joinTokenPattern } from '../join-token.js';
import { absolutePath, gigabytes, wholeNumber } from '../kinds.js';

/** Workers, on both sides. */
export const workersVariables = {
  JR_ROLE: z
    .enum(['controller', 'worker'], { error: 'expected controller or worker' })
    .default('controller')
    .meta({ description: '`worker`: join the cluster of another machine instead of running one' }),
  JR_JOIN_PORT: wholeNumber(1, 65535).optional().meta({
    shown: 'none',
    description: 'Port at which workers join (TLS); slurmctld then listens to them, too',
  }),
  JR_WORKER_TIMEOUT: wholeNumber(10, 3600)
    .default(120)
    .meta({ description: 'Seconds without a word from a worker until its jobs are given up' }),
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
      'Worker: seconds without a byte until a connection to the controller is taken for broken',
  }),
  JR_JOIN_TOKEN: z
    .string()
    .regex(joinTokenPattern, 'expected what "jobrunner worker token" prints on the controller')
    .optional()
    .meta({ shown: 'none', description: 'Worker: what `jobrunner worker token` prints there' }),
  JR_JOIN_TOKEN_FILE: absolutePath.optional().meta({
    shown: 'none',
    description: 'Worker: file to read that from; controller: file to write it to at its start',
  }),
  JR_MUNGE_KEY_FILE: absolutePath.optional().meta({
    shown: 'none',
    description: 'Worker: the cluster’s munge key, instead of the one handed over',
  }),
  JR_CACHE_GB: gigabytes(0).meta({
    description:
      'Worker: most that datasets may take there, unpacked ones too, in GiB; those not used for longest make room; 0 = the free disk',
  }),
};
