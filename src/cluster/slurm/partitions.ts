/** Of the box's own node. */
export const MAIN_PARTITION = 'main';

/** Of the hosts that are reached over SSH. */
export const SSH_PARTITION = 'ssh';

/** No partition of Slurm's: the first place free, of `main` and `ssh`. */
export const ANY_PARTITION = 'any';

/** Of the workers. */
export const WORKERS_PARTITION = 'workers';
