import { z } from 'zod';
import pLimit from 'p-limit';
import { readReply } from '../rest/read.js';
import type { RestAsk } from '../rest/transport.js';
import { isFlat, type RestVersion } from '../rest/version.js';
import {
  maxConcurrentSubmits,
  type JobSubmitter,
  type SubmitDefaults,
  type SubmitSpec,
} from './job-submitter.js';

/** Submits through slurmrestd, as the user of its token. */
export function restSubmitter(
  ask: RestAsk,
  version: RestVersion,
  defaults: SubmitDefaults,
): JobSubmitter {
  const limit = pLimit(maxConcurrentSubmits);
  const path = `/slurm/${version}/job/submit`;
  return {
    submit: (spec, script) =>
      limit(async () => {
        const body = submitBody(version, spec, script, defaults);
        return parseSubmitted(await ask({ method: 'POST', path, body }));
      }),
  };
}

/** Minimal environment: slurmrestd requires one, and the script sets the job's own. */
const environment = { PATH: '/usr/local/bin:/usr/bin:/bin' };

/** No limit, in the plain minutes of versions up to v0.0.38. */
const endless = 2 ** 32 - 1;

/** Makes the body of `POST /slurm/…/job/submit`, with the same request as in sbatch.ts. */
export function submitBody(
  version: RestVersion,
  spec: SubmitSpec,
  script: string,
  { account, qos }: SubmitDefaults,
): object {
  const minutes = spec.timeLimit === 'UNLIMITED' ? null : Math.ceil(spec.timeLimit / 60);
  const number = (value: number) => ({ set: true, infinite: false, number: value });
  const common = {
    name: spec.name,
    comment: spec.comment,
    tasks: 1,
    cpus_per_task: spec.cpus,
    nice: spec.nice,
    current_working_directory: spec.workDir,
    standard_output: spec.logPath,
    ...(spec.errorPath !== undefined && { standard_error: spec.errorPath }),
    ...((spec.account ?? account) !== undefined && { account: spec.account ?? account }),
    ...(qos !== undefined && { qos }),
    ...(spec.partition !== undefined && { partition: spec.partition }),
    ...(spec.constraint !== undefined && { constraints: spec.constraint }),
    requeue: spec.requeue === true,
  };
  const job = isFlat(version)
    ? {
        ...common,
        nodes: 1,
        memory_per_node: spec.memoryMb,
        time_limit: minutes ?? endless,
        open_mode: 'append',
        environment,
        ...(spec.gres !== null && { gres: spec.gres }),
      }
    : {
        ...common,
        nodes: '1',
        memory_per_node: number(spec.memoryMb),
        time_limit: minutes === null ? { set: false, infinite: true, number: 0 } : number(minutes),
        open_mode: ['APPEND'],
        environment: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
        ...(spec.gres !== null && { tres_per_node: tresOf(spec.gres) }),
      };
  return { script, job };
}

/** Turns `gpu:2` into `gres/gpu:2`. */
function tresOf(gres: string): string {
  return gres
    .split(',')
    .map((one) => `gres/${one}`)
    .join(',');
}

/** @throws SlurmError */
function parseSubmitted(reply: unknown): number {
  return readReply(z.object({ job_id: z.number().int().positive() }), reply).job_id;
}
