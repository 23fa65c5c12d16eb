import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandGate } from './command-gate.js';
import { gpuJobs, untilTold, type GpuJob } from './gpu-jobs.js';
import { LiveStack } from './live-stack.js';
import { until } from '../until.js';

let gate: CommandGate;
let stack: LiveStack;

beforeAll(async () => {
  gate = await CommandGate.make();
  const settings = { JR_SIMULATE_GPUS: '3', JR_JOBS_FILE_INTERVAL: '3600' };
  stack = await LiveStack.start(settings, gate.through);
});

afterAll(async () => {
  await stack.remove();
  await gate.remove();
});

// Leftovers of a failed test would keep the next ones from starting.
afterEach(async () => {
  await until('the API answers', answers);
  execFileSync('scancel', ['--partition=main'], { env: slurmEnv() });
});

const { submit, show, tellToEnd, end } = gpuJobs(() => stack);

/** The distance of `priority=5` from the usual 100, in Slurm's numbers. */
const rise = 95 * 100_000;
const run = `echo run >>runs; ${untilTold}`;
const runsOf = (id: number) => readFile(join(stack.root, 'results', String(id), 'runs'), 'utf8');

const slurmEnv = () => ({
  ...process.env,
  SLURM_CONF: join(stack.root, 'slurm/etc/slurm.conf'),
});

/** Lists Slurm's live jobs without placeholders, one line each. */
function inSlurm(format: string): string[] {
  const out = execFileSync('squeue', ['-ah', '-pmain', '-tPD,R,CG', `-O${format}`], {
    env: slurmEnv(),
  });
  const lines = out.toString().split('\n');
  return lines.map((line) => line.trim().replace(/ +/g, ' ')).filter(Boolean);
}
const waitingInSlurm = () =>
  inSlurm('State:12,JobID:12,PriorityLong:12').filter((line) => line.startsWith('PENDING'));

/** Returns its priority in Slurm: a higher value starts sooner; 0 while it is held. */
async function priorityOf(id: number): Promise<number> {
  const { slurm_job_id: slurmJobId } = await show(id);
  const line = waitingInSlurm().find((one) => one.startsWith(`PENDING ${slurmJobId} `));
  if (line === undefined) throw new Error(`job ${id} does not wait in Slurm`);
  return Number(line.split(' ')[2]);
}

const put = (id: number, what: string, body?: Record<string, string>) =>
  stack.call<GpuJob>('POST', `/jobs/${id}/${what}`, {
    ...(body && { body: new URLSearchParams(body) }),
  });

const answers = () =>
  fetch(`${stack.url}/health`).then(
    () => true,
    () => false,
  );

/**
 * Submits a job that moves as soon as `leave` is called, and then waits again, until `makeRoom`.
 */
async function movable() {
  const on = [
    await submit({ gpus: 1, allowed_gpus: '0' }),
    await submit({ gpus: 1, allowed_gpus: '1' }),
  ];
  const others = await submit({ cpus: 14 });
  for (const id of [...on, others]) await stack.until(id, 'RUNNING');
  const id = await submit({ gpus: 1, allowed_gpus: '0-1', cpus: 2, command: run });
  const { gres, slurm_job_id: former } = await show(id);
  const here = gres === 'shard:nvidia0:100' ? 0 : 1;
  return {
    id,
    former,
    priority: await priorityOf(id),
    there: `shard:nvidia${1 - here}:100`,
    // Not awaited, since the next steps may kill the API.
    leave: () => tellToEnd(on[1 - here] ?? 0),
    makeRoom: () => end(others),
    endAll: () => end(on[here] ?? 0),
    /**
     * Frees its present GPU and the CPUs. Does not wait for the ends, since the API may be blocked.
     */
    makeRoomHere: async () => {
      for (const one of [others, on[here] ?? 0]) await tellToEnd(one);
    },
  };
}

describe('an interrupted move', () => {
  test.each([
    ['kill-before', 'scontrol uhold *'],
    ['kill-after', 'scontrol uhold *'],
    ['kill-before', 'scancel *'],
    ['kill-after', 'scancel *'],
    ['kill-after', 'sudo * /usr/local/lib/jobrunner/submit-job *'],
    ['kill-before', 'scontrol update * Priority=*'],
    ['kill-after', 'scontrol update * Priority=*'],
  ] as const)(
    '(%s %s) continues: the job keeps its queue position and runs once',
    async (what, step) => {
      const { id, former, priority, there, leave, makeRoom, endAll } = await movable();
      const api = await stack.pidOf('api');
      await gate.order(what, step);
      await leave();
      await gate.taken();
      await until('the API is started again', async () => (await stack.pidOf('api')) !== api);
      await until('it answers', answers);
      await until('the job has moved', async () => (await show(id)).gres === there);
      const itAloneWaits = async () => {
        const { status, slurm_job_id: now } = await show(id);
        const waiting = waitingInSlurm().join();
        return status === 'PENDING' && now !== former && waiting === `PENDING ${now} ${priority}`;
      };
      await until('only this job waits, at its old position', itAloneWaits);
      await makeRoom();
      await stack.until(id, 'RUNNING');
      await end(id);
      await endAll();
      expect(await runsOf(id)).toBe('run\n');
      expect(inSlurm('JobID:12')).toEqual([]);
    },
  );
});

describe('during a move', () => {
  test('a job’s priority can be changed', async () => {
    const { id, priority, there, leave, makeRoom, endAll } = await movable();
    await gate.order('wait-before', 'scancel *');
    await leave();
    await gate.taken();
    const changing = put(id, 'priority', { priority: '5' });
    // Answered only after the move.
    await show(id);
    await gate.open();
    expect(await changing).toMatchObject({ status: 200, json: { priority: 5, gres: there } });
    expect(waitingInSlurm()).toEqual([
      `PENDING ${(await show(id)).slurm_job_id} ${priority + rise}`,
    ]);
    await makeRoom();
    await stack.until(id, 'RUNNING');
    await end(id);
    await endAll();
  });

  test('a job that starts on its present GPU stays there, and runs once', async () => {
    const { id, former, there, leave, makeRoomHere } = await movable();
    await gate.order('wait-before', 'scontrol uhold *');
    await leave();
    await gate.taken();
    await makeRoomHere();
    await until('it has started', () => inSlurm('State:12,JobID:12').includes(`RUNNING ${former}`));
    await gate.open();
    // Answered after the move, since both change the job.
    await put(id, 'priority', { priority: '5' });
    await stack.until(id, 'RUNNING');
    const { slurm_job_id: now, gres } = await show(id);
    expect(now).toBe(former);
    expect(gres).not.toBe(there);
    await end(id);
    expect(await runsOf(id)).toBe('run\n');
    expect(inSlurm('JobID:12')).toEqual([]);
  });

  test('a job can be cancelled or held, and the move keeps that', async () => {
    const { id, there, leave, makeRoom, endAll } = await movable();
    await gate.order('wait-before', 'scontrol uhold *');
    await leave();
    await gate.taken();
    const held = put(id, 'hold');
    // Answered after the request, so that they arrive in this order.
    await show(id);
    const cancelled = put(id, 'cancel');
    await show(id);
    await gate.open();
    expect((await held).status).toBe(200);
    expect(await cancelled).toMatchObject({ status: 200, json: { status: 'CANCELLED' } });
    expect((await show(id)).gres).toBe(there);
    expect(waitingInSlurm()).toEqual([]);
    await makeRoom();
    await endAll();
  });
});

test('a change of priority during the submission takes effect in Slurm', async () => {
  const all = await submit({ cpus: 16 });
  await stack.until(all, 'RUNNING');
  const usual = await submit({});
  await gate.order('wait-before', 'sudo * /usr/local/lib/jobrunner/submit-job *');
  const late = submit({});
  await gate.taken();
  const changing = put(usual + 1, 'priority', { priority: '5' });
  await show(usual);
  await gate.open();
  expect(await changing).toMatchObject({ status: 200, json: { priority: 5, status: 'PENDING' } });
  expect(await late).toBe(usual + 1);
  expect(await priorityOf(usual + 1)).toBe((await priorityOf(usual)) - 1 + rise);
  await end(all, usual, usual + 1);
});

test('a held job stays held when its priority changes, and gets the new position when it is released', async () => {
  const all = await submit({ cpus: 16 });
  await stack.until(all, 'RUNNING');
  const [changed, plain, free, byOwner] = [
    await submit({}),
    await submit({ priority: 500 }),
    await submit({}),
    await submit({ priority: 700 }),
  ];
  const before = await priorityOf(free);
  for (const id of [changed, plain]) expect((await put(id, 'hold')).status).toBe(200);
  execFileSync('scontrol', ['hold', String((await show(byOwner)).slurm_job_id)], {
    env: slurmEnv(),
  });
  expect((await put(changed, 'priority', { priority: '5' })).json.reason).toBe('JobHeldUser');
  expect([await priorityOf(changed), await priorityOf(plain), await priorityOf(byOwner)]).toEqual([
    0, 0, 0,
  ]);
  for (const id of [changed, plain, free, byOwner])
    expect((await put(id, 'release')).status).toBe(200);
  expect(await priorityOf(changed)).toBe(before + 2 + rise);
  expect(await priorityOf(plain)).toBe(before + 1 - 400 * 100_000);
  expect(await priorityOf(free)).toBe(before);
  expect(await priorityOf(byOwner)).toBeLessThan(before - 599 * 100_000);
  await end(all, changed, plain, free, byOwner);
});
