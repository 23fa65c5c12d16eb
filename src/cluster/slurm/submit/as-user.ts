import pLimit from 'p-limit';
import { commandRunner } from '../command.js';
import { submitsAtOnce, type JobSubmitter } from './job-submitter.js';
import { parseSbatch, sbatchArguments, submitRemoteArguments } from './sbatch.js';

/** Submits in our own cluster, as the job's Unix user: sudo allows the API just these two scripts. */
export function asUserSubmitter(slurmConf: string): JobSubmitter {
  const run = commandRunner(slurmConf);
  const limit = pLimit(submitsAtOnce);
  return {
    submit: (spec, script) =>
      limit(async () => {
        const command = spec.mayBeRemote
          ? [
              ...['-u', 'jr-remote', '/usr/local/lib/jobrunner/submit-remote'],
              ...submitRemoteArguments(spec),
            ]
          : // As root: only root may submit as another user, and no job can look into root's processes.
            ['/usr/local/lib/jobrunner/submit-job', spec.user, ...sbatchArguments(spec)];
        return parseSbatch(await run('sudo', ['-n', ...command], { input: script }));
      }),
  };
}
