import { sbatchArguments, type SubmitSpec } from '../sbatch.js';
import type { SiteDefaults } from './client.js';

/** A site may queue jobs again unasked when a node fails (`JobRequeue`): each job says what it wants. */
export function siteSbatchArguments(spec: SubmitSpec, { account, qos }: SiteDefaults): string[] {
  return [
    ...sbatchArguments({ ...spec, account: spec.account ?? account }),
    ...(qos === undefined ? [] : [`--qos=${qos}`]),
    ...(spec.requeue ? [] : ['--no-requeue']),
  ];
}
