import pLimit from 'p-limit';
import type { ExternalCommands } from '../external/commands.js';
import {
  maxConcurrentSubmits,
  type JobSubmitter,
  type SubmitDefaults,
  type SubmitSpec,
} from './job-submitter.js';
import { parseSbatch, sbatchArguments } from './sbatch.js';

/** Submits with the sbatch of an external cluster, as the jobs' user. */
export function externalSbatchSubmitter(
  { act }: ExternalCommands,
  defaults: SubmitDefaults,
): JobSubmitter {
  const limit = pLimit(maxConcurrentSubmits);
  return {
    submit: (spec, script) =>
      limit(async () => {
        const args = externalSbatchArguments(spec, defaults);
        return parseSbatch(await act('sbatch', args, { input: script }));
      }),
  };
}

/** Says for each job whether to requeue it: the cluster may do so by default (`JobRequeue`). */
function externalSbatchArguments(spec: SubmitSpec, { account, qos }: SubmitDefaults): string[] {
  return [
    ...sbatchArguments({ ...spec, account: spec.account ?? account }),
    ...(qos === undefined ? [] : [`--qos=${qos}`]),
    ...(spec.requeue ? [] : ['--no-requeue']),
  ];
}
