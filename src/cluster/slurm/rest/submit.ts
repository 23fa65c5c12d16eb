import { z } from 'zod';
import type { SubmitSpec } from '../sbatch.js';
import type { SubmitDefaults } from '../external/client.js';
import { readReply } from './read.js';
import { isFlat, type RestVersion } from './version.js';

/** A batch script needs an environment of some kind; what a job gets stands in its script. */
const environment = { PATH: '/usr/local/bin:/usr/bin:/bin' };

/** Up to v0.0.38 time limits are plain minutes, of which so many are without end. */
const endless = 2 ** 32 - 1;

/** The body of `POST /slurm/…/job/submit`, which says what sbatch.ts says to sbatch. */
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

/** `gpu:2` to `gres/gpu:2`. */
function tresOf(gres: string): string {
  return gres
    .split(',')
    .map((one) => `gres/${one}`)
    .join(',');
}

/** @throws SlurmError */
export function parseSubmitted(reply: unknown): number {
  return readReply(z.object({ job_id: z.number().int().positive() }), reply).job_id;
}
