// A worker's link: one TLS connection, which the worker makes to the join port, and HTTP/2 in it.
// Each of its streams carries one TCP connection of Slurm's daemons. HTTP/2 lets only the worker
// open streams, so it keeps some open ahead for the controller's next connections.

/** The value of `Upgrade` with which a worker asks for a link, and the path of that request. */
export const linkProtocol = 'jobrunner-link';
export const linkPath = '/link';

/** The paths of the streams. */
export const streamPaths = {
  /** From a worker to slurmctld. */
  slurmctld: '/slurmctld',
  /** From slurmctld to the worker's slurmd: open, but without an answer until it is needed. */
  slurmd: '/slurmd',
};

/** Streams that a worker keeps open ahead; the controller waits a round trip for more. */
export const spareStreams = 16;
/** More than Slurm's daemons use at once. */
export const maxStreams = 512;
/** Megabytes that they may fill in one process; Node refuses new streams beyond (node:http2). */
export const maxSessionMemory = 64;
/** Without an answer for so long, the other side is gone. */
export const linkSilenceMs = 20_000;

/**
 * Returns the address at which the controller has that worker's slurmd. Slurm 22.05 looks for all
 * dynamic nodes at one port, and at the address from which each has registered.
 */
export function workerAddress(name: string): string {
  const [, number] = /^worker(\d{1,2})$/.exec(name) ?? [];
  if (number === undefined) throw new Error(`${name} is no worker’s name`);
  return `127.77.0.${number}`;
}
