import { availableParallelism } from 'node:os';

/** Tells whether these are more CPUs than this machine, or this container, has. */
export function isMoreThanHere(cpus: number): boolean {
  return cpus > availableParallelism();
}

/**
 * Judges the number of CPUs given to jobs. More than there are is allowed, unlike memory: jobs get
 * slower, but none is ended.
 * @returns a warning for the first screen, or undefined
 */
export function judgeCpus(cpus: number): string | undefined {
  if (!isMoreThanHere(cpus)) return undefined;
  return `JR_NUM_CPUS: ${cpus} is more than the ${availableParallelism()} CPUs of this machine, so jobs share CPUs and slow one another down; leave it unset to detect them`;
}
