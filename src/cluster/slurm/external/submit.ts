import { sbatchArguments, type SubmitSpec } from '../sbatch.js';
import type { SubmitDefaults } from './client.js';

/** An external cluster may queue jobs again unasked when a node fails (`JobRequeue`): each job says what it wants. */
export function externalSbatchArguments(
  spec: SubmitSpec,
  { account, qos }: SubmitDefaults,
): string[] {
  return [
    ...sbatchArguments({ ...spec, account: spec.account ?? account }),
    ...(qos === undefined ? [] : [`--qos=${qos}`]),
    ...(spec.requeue ? [] : ['--no-requeue']),
  ];
}
