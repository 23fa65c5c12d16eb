import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LiveStack } from './live-stack.js';
import { until } from '../until.js';

let stack: LiveStack;

beforeAll(async () => {
  stack = await LiveStack.start({ JR_MAX_ASSIGN_ATTEMPTS: '2', JR_ASSIGN_RETRY_WAIT: '4' });
});

afterEach(() => signalSlurmd('SIGCONT'));
afterAll(() => stack.remove());

const job = { command_key: 'shell', command: 'echo ran >>runs; cat runs', mem_gb: 0.1 };
const show = async (id: number) => (await stack.call('GET', `/jobs/${id}`)).json;

const signalSlurmd = async (signal: NodeJS.Signals) => {
  process.kill(await stack.pidOf('slurmd'), signal);
};

/** Waits until slurmctld writes that of a job of Slurm's. */
async function controllerSays(what: string, slurmJobId: number): Promise<void> {
  const words = new RegExp(`${what} JobId=${slurmJobId} `);
  const log = join(stack.root, 'logs/slurmctld.log');
  await until(`slurmctld says ${words}`, () => words.test(readFileSync(log, 'utf8')));
}

/** Keeps a stopped slurmd from the start of a job until slurmctld gives up, and lets it go on. */
async function missStart(id: number, former?: number): Promise<number> {
  const number = await until('Slurm has the job', async () => {
    const { slurm_job_id: found } = await show(id);
    return found !== null && found !== former && found;
  });
  await controllerSays('_job_complete: requeue', number);
  await signalSlurmd('SIGCONT');
  await controllerSays('REQUEST_KILL_JOB', number);
  return number;
}

test('a job that its node was too busy to start is submitted again, and runs once', async () => {
  await signalSlurmd('SIGSTOP');
  const { json } = await stack.submit(job);
  await missStart(json.job_id);
  expect(await stack.finish(json.job_id)).toMatchObject({
    status: 'COMPLETED',
    log: 'ran\n',
    warning: expect.stringContaining('1 of 2 attempts failed') as unknown,
  });
});

test('a job that its node could not start in all attempts has failed by its node', async () => {
  await signalSlurmd('SIGSTOP');
  const { json } = await stack.submit(job);
  const first = await missStart(json.job_id);
  await stack.until(json.job_id, 'SUBMITTING');
  await signalSlurmd('SIGSTOP');
  await missStart(json.job_id, first);
  expect(await stack.finish(json.job_id)).toMatchObject({ status: 'NODE_FAIL', failure: 'node' });
});

test('a job that is cancelled while its node does not start it stays cancelled', async () => {
  await signalSlurmd('SIGSTOP');
  const { json } = await stack.submit(job);
  await stack.until(json.job_id, 'RUNNING');
  expect((await stack.call('POST', `/jobs/${json.job_id}/cancel`)).status).toBe(200);
  await signalSlurmd('SIGCONT');
  expect(await stack.finish(json.job_id)).toMatchObject({ status: 'CANCELLED' });
  expect(await stack.shell('echo next')).toMatchObject({ status: 'COMPLETED' });
});
