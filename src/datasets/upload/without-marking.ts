import { setFlagsFromString } from 'node:v8';

let works = 0;

/**
 * Keeps V8 from marking its heap in steps while bytes stream through. V8 counts the memory of every chunk that is received and marks
 * the whole heap again each 64 MB of it, on all its threads: half of an upload's processor time. Chunks die young, so the small
 * collections free them. At all other times it marks: without, 25 MB of objects were seen to grow to 200 MB before they were
 * collected. The flag is the process's, and so is the count.
 */
export async function withoutMarking<T>(work: () => Promise<T>): Promise<T> {
  if (works++ === 0) setFlagsFromString('--no-incremental-marking');
  try {
    return await work();
  } finally {
    if (--works === 0) setFlagsFromString('--incremental-marking');
  }
}
