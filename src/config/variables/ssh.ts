import { z } from 'zod';
import { absolutePath, port, wholeNumber } from '../kinds.js';

/** SSH hosts. */
export const sshVariables = {
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
    description: 'First port, on loopback, of the slurmd for SSH hosts; each host needs one',
  }),
  JR_SSH_ALIVE_INTERVAL: wholeNumber(1, 3600).default(15).meta({
    description:
      'Seconds between two keepalive messages to an SSH host; the connection ends after three without an answer',
  }),
  JR_SSH_WATCH_INTERVAL: wholeNumber(1, 3600)
    .default(15)
    .meta({ description: 'Seconds between two checks of each SSH host' }),
};
