import pLimit from 'p-limit';
import { commandRunner } from '../command.js';
import { maxConcurrentSubmits, type JobSubmitter } from './job-submitter.js';
import { parseSbatch, sbatchArguments, submitRemoteArguments } from './sbatch.js';

/**
 * Submits to our own cluster as the job's Unix user; sudo allows the API only these two scripts.
 */
export function asUserSubmitter(slurmConf: string): JobSubmitter {
  const run = commandRunner(slurmConf);
  const limit = pLimit(maxConcurrentSubmits);
  return {
    submit: (spec, script) =>
      limit(async () => {
        const command = spec.mayBeRemote
          ? [
              ...['-u', 'jr-remote', '/usr/local/lib/jobrunner/submit-remote'],
              ...submitRemoteArguments(spec),
            ]
          : // Only root may submit as another user, and no job can look into root’s processes.
            ['/usr/local/lib/jobrunner/submit-job', spec.user, ...sbatchArguments(spec)];
        return parseSbatch(await run('sudo', ['-n', ...command], { input: script }));
      }),
  };
}
