/** Partition of this machine's node. */
export const MAIN_PARTITION = 'main';

/** Partition of the SSH hosts. */
export const SSH_PARTITION = 'ssh';

/** Not a partition of Slurm: the first free target, of `main` and `ssh`. */
export const ANY_PARTITION = 'any';

/** Partition of the workers. */
export const WORKERS_PARTITION = 'workers';
