import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../../errors.js';
import { startNameOfFolder } from '../run/job-files.js';
import type { Link } from '../ssh/link.js';

/** Room for the names of some hundred thousand jobs and datasets. */
const maxListBytes = 32 * 2 ** 20;

export interface SweepParts {
  installation: string;
  /** The local folder of datasets. */
  datasets: string;
  /** See {@link liveStarts}. */
  live: () => Promise<Set<string>>;
}

/**
 * Removes leftovers from a host: folders of jobs that do not run, with their processes, and
 * datasets that were deleted here.
 * @returns the removed names
 * @throws SshError, SlurmError
 */
export async function sweep(
  link: Link,
  { installation, datasets, live }: SweepParts,
  signal: AbortSignal,
): Promise<string[]> {
  const { workdir } = link.facts;
  const [jobsThere, datasetsThere] = [`${workdir}/jobs/${installation}`, `${workdir}/datasets`];
  const printed = await link.call(['list_own', jobsThere, datasetsThere, installation], {
    signal,
    maxBytes: maxListBytes,
  });
  const found = printed.toString().split('\0');
  const named = (kind: string) =>
    found.filter((record) => record.startsWith(`${kind} `)).map((r) => r.slice(kind.length + 1));

  const removed: string[] = [];
  const jobs = named('job').filter((name) => /^[\w.-]{1,100}$/.test(name));
  if (jobs.length > 0) {
    // Ask after listing the folders: a job with a folder that does not run now has ended.
    const starts = await live();
    for (const name of jobs) {
      if (starts.has(startNameOfFolder(link.host.name, name))) continue;
      await link.call(['remove', `${jobsThere}/${name}`], { signal });
      removed.push(`job ${name}`);
    }
  }
  for (const name of named('dataset')) {
    const sha256 = /^([0-9a-f]{64})(\.|$)/.exec(name)?.[1];
    if (sha256 === undefined || !(await isGone(datasets, sha256))) continue;
    await link.call(['take_away', `${datasetsThere}/${name}`], { signal });
    removed.push(`dataset ${name}`);
  }
  return removed;
}

/** Returns whether the dataset was deleted here; false when its disk is not mounted. */
async function isGone(datasets: string, sha256: string): Promise<boolean> {
  await stat(datasets);
  try {
    await stat(join(datasets, sha256.slice(0, 2), sha256));
    return false;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return true;
    throw error;
  }
}
