import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandGate } from './command-gate.js';
import { gpuJobs, untilTold } from './gpu-jobs.js';
import { LiveStack, type JobReply } from './live-stack.js';
import { until } from '../until.js';

let gate: CommandGate;
let stack: LiveStack;

beforeAll(async () => {
  gate = await CommandGate.make();
  const settings = {
    JR_SIMULATE_GPUS: '1',
    JR_MAX_ASSIGN_ATTEMPTS: '4',
    // The first test's restart of slurmctld must take only part of the pauses.
    JR_ASSIGN_RETRY_WAIT: '2',
    JR_JOBS_FILE_INTERVAL: '3600',
  };
  stack = await LiveStack.start(settings, gate.through);
});

afterAll(async () => {
  await stack.remove();
  await gate.remove();
});

const { show } = gpuJobs(() => stack);

/** Runs a Slurm command as the owner would. */
function supervisorctl(...args: string[]): void {
  execFileSync('supervisorctl', ['-c', join(stack.root, 'run', 'supervisord.conf'), ...args]);
}

/** Sets the most jobs that Slurm keeps, which it reads only at its start (slurm.conf(5)). */
function setMaxJobCount(count: number): void {
  const conf = join(stack.root, 'slurm/etc/slurm.conf');
  const text = readFileSync(conf, 'utf8').replace(/^MaxJobCount=.*$/m, `MaxJobCount=${count}`);
  writeFileSync(conf, text);
  supervisorctl('restart', 'slurmctld');
}

async function controllerAnswers(): Promise<void> {
  await until('slurmctld answers', async () => {
    const health = await fetch(`${stack.url}/health`);
    return ((await health.json()) as { slurmctld: string }).slurmctld === 'up';
  });
}

/** Returns the pauses in the API's log, in milliseconds. */
function pausesOf(id: number): number[] {
  const lines = readFileSync(join(stack.root, 'logs', 'api.log'), 'utf8').split('\n');
  return lines
    .filter((line) => line.includes(`"job_id":${id},"waitMs"`))
    .map((line) => (JSON.parse(line) as { waitMs: number }).waitMs);
}

const waits = { command_key: 'shell', command: 'echo run >>runs; cat runs', mem_gb: 0.1 };

test('a job that Slurm has no room for is submitted again, and runs once there is room', async () => {
  setMaxJobCount(1);
  await controllerAnswers();
  const full = await stack.submit(waits);
  expect(full).toMatchObject({ status: 202, json: { status: 'SUBMITTING', slurm_job_id: null } });
  expect((await show(full.json.job_id)).reason_text).toBe(
    'Slurm cannot take it now (Slurm temporarily unable to accept job); JobRunner submits it again later',
  );
  setMaxJobCount(1000);
  await until('it is accepted', async () => (await show(full.json.job_id)).status !== 'SUBMITTING');
  expect(await stack.finish(full.json.job_id)).toMatchObject({
    status: 'COMPLETED',
    message: null,
    log: 'run\n',
  });
});

test('after its last attempt it is rejected, in Slurm’s words; each pause was twice the previous one', async () => {
  setMaxJobCount(1);
  await controllerAnswers();
  const { json } = await stack.submit(waits);
  const { job_id: id } = json;
  await until('it is rejected', async () => (await show(id)).status === 'REJECTED');
  expect(await stack.finish(id)).toMatchObject({
    failure: 'submit',
    slurm_job_id: null,
    message: expect.stringMatching(/Slurm temporarily unable .*\b4 times/),
  });
  expect(pausesOf(id)).toEqual([2000, 4000, 8000]);
  setMaxJobCount(1000);
  await controllerAnswers();
  expect(await stack.shell('echo room')).toMatchObject({ status: 'COMPLETED', log: 'room\n' });
  expect((await show(id)).status).toBe('REJECTED');
});

test('while Slurm may still accept a job, it cannot be cancelled; once Slurm has it, it can', async () => {
  await gate.order('lose-answer', 'sudo * /usr/local/lib/jobrunner/submit-job *');
  const { status, json } = await stack.submit({ ...waits, command: untilTold });
  const cancel = () => stack.call<JobReply>('POST', `/jobs/${json.job_id}/cancel`);
  expect([status, json.status]).toEqual([202, 'SUBMITTING']);
  expect(await cancel()).toMatchObject({
    status: 503,
    json: { error: { code: 'slurm_unavailable' } },
  });
  await gate.open();
  await stack.until(json.job_id, 'RUNNING');
  expect((await cancel()).status).toBe(200);
  expect((await stack.finish(json.job_id)).status).toBe('CANCELLED');
});
