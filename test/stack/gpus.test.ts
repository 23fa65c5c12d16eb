import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gpuJobs, untilTold } from './gpu-jobs.js';
import { LiveStack } from './live-stack.js';
import { refusal } from '../refusal.js';
import { until } from '../until.js';

let stack: LiveStack;
/** Started first, so that its GPU has been idle for a minute when the last test runs. */
let idle: number;

beforeAll(async () => {
  stack = await LiveStack.start({
    JR_SIMULATE_GPUS: '3',
    JR_GPU_MONITOR_INTERVAL: '1',
    JR_GPU_STATE_INTERVAL: '1',
    JR_GPU_IDLE_WARN: '1',
    JR_JOBS_FILE_INTERVAL: '3600',
  });
  idle = await submit({ gpus: 0.1, allowed_gpus: '2' });
});

afterAll(async () => {
  await stack.remove();
});

const { submit, show, end } = gpuJobs(() => stack);

interface GpuReply {
  index: number;
  memory_used_mb: number | null;
  load: number | null;
  state: string;
  paused: { by: string; reason: string; since: string } | null;
  closed: { reason: string; processes: { pid: number; name: string; user: string }[] } | null;
  jobs: { job_id: number; share: number; name: string }[];
  waiting: { job_id: number; share: number }[];
  error: { code: string; message: string };
}
interface GpusReply {
  gpus: GpuReply[];
  waiting_anywhere: number;
  state_file_problem: string | null;
}
const look = async () => (await stack.call<GpusReply>('GET', '/gpus')).json;
const gpu = async (index: number) => (await look()).gpus[index] as GpuReply;

/** Returns the job's GPUs, which are known once it runs. */
async function placed(id: number): Promise<number[] | null> {
  await until(`job ${id} runs somewhere`, async () => (await show(id)).gpu_indices !== null);
  return (await show(id)).gpu_indices;
}

const pause = (index: number | string, body?: URLSearchParams) =>
  stack.call<GpuReply>('POST', `/gpus/${index}/pause`, body && { body });
const resume = (index: number | string) => stack.call<GpuReply>('POST', `/gpus/${index}/resume`);

/** Lists Slurm's own jobs: one line each, with state, partition and GRES. */
function slurm(...states: string[]): string[] {
  const out = execFileSync('squeue', ['-ah', `-t${states.join(',')}`, '-o%P %T %b'], {
    env: { ...process.env, SLURM_CONF: join(stack.root, 'slurm/etc/slurm.conf') },
  });
  return out.toString().trim().split('\n').filter(Boolean).sort();
}

/**
 * Waits until Slurm has gone through its queue: a job that can start now, submitted last, has run.
 */
async function slurmHasLooked(): Promise<void> {
  // Right after its restart, slurmctld may not know the GPUs yet; it accepts jobs a moment later.
  await stack.shell('true', { time_limit: '1', gpus: 0.1, allowed_gpus: '2' }, [201, 202]);
}

describe('a paused GPU', () => {
  test('lets a share end, and no job start, until it is resumed, whatever is restarted', async () => {
    const sharing = await submit({ gpus: 0.3, allowed_gpus: '0', time_limit: '60' });
    await stack.until(sharing, 'RUNNING');
    const paused = await pause(0, new URLSearchParams({ reason: 'a fan is loud' }));
    expect(paused.status).toBe(200);
    expect(paused.json).toMatchObject({
      state: 'paused',
      paused: { by: 'admin', reason: 'a fan is loud' },
      jobs: [{ job_id: sharing, share: 0.3, name: 'shell' }],
    });

    // Short jobs that would fit first, and one that needs the whole GPU.
    const waiting = [
      await submit({ gpus: 0.2, allowed_gpus: '0', time_limit: '1' }),
      await submit({ gpus: 0.01, allowed_gpus: '0', time_limit: '1', priority: 0 }),
      await submit({ gpus: 1, allowed_gpus: '0', time_limit: '1' }),
    ];
    const noneStarted = async () => {
      await slurmHasLooked();
      for (const id of waiting) expect(await show(id)).toMatchObject({ status: 'PENDING' });
      expect((await gpu(0)).waiting.map(({ job_id }) => job_id)).toEqual(waiting);
    };
    await noneStarted();
    await until('they say why', async () =>
      /every GPU it could use is closed: GPU 0 is paused by admin \(a fan is loud\)/.test(
        (await show(waiting[0] ?? 0)).reason_text ?? '',
      ),
    );
    expect((await show(sharing)).status).toBe('RUNNING');

    await end(sharing);
    await noneStarted();

    const told = () => stack.stdout.split('slurmd was asked to report box0').length;
    const before = told();
    process.kill(await stack.pidOf('api'), 'SIGKILL');
    // A killed slurmctld would forget its last seconds.
    process.kill(await stack.pidOf('slurmctld'), 'SIGTERM');
    await until('the API and Slurm are back', async () => {
      const reply = await fetch(`${stack.url}/health`).catch(() => undefined);
      return reply?.status === 200 && ((await reply.json()) as { status: string }).status === 'ok';
    });
    await until('slurmd is asked to report its GPUs to slurmctld', () => told() > before);
    await noneStarted();

    expect(await stack.down()).toBe(0);
    await stack.up();
    idle = await submit({ gpus: 0.1, allowed_gpus: '2' });
    await noneStarted();
    expect(await gpu(0)).toMatchObject({ paused: { reason: 'a fan is loud' } });

    expect((await resume(0)).json).toMatchObject({ paused: null });
    await end(...waiting);
    await until('no placeholder is left', () =>
      Promise.resolve(slurm('PD', 'R').every((line) => !line.startsWith('hold'))),
    );
  });

  test('lets a whole-GPU job end, and jobs that may use other GPUs start there', async () => {
    const whole = await submit({ gpus: 1, allowed_gpus: '0', time_limit: '60' });
    await stack.until(whole, 'RUNNING');
    await pause(0);
    expect((await gpu(0)).paused).toMatchObject({ reason: 'paused over the API' });
    const choosy = await submit({ gpus: 1, allowed_gpus: '0-1' });
    expect(await placed(choosy)).toEqual([1]);
    await end(whole);
    await until('the placeholder has all of it', () =>
      Promise.resolve(slurm('R').includes('hold RUNNING gres:shard:nvidia0:100')),
    );
    const anywhere = await submit({ gpus: 0.9 });
    expect(await placed(anywhere)).toEqual([2]);
    await end(choosy, anywhere);
    await resume(0);
  });

  test('may be every GPU; then jobs wait and say so', async () => {
    for (const index of [0, 1, 2]) expect((await pause(index)).status).toBe(200);
    const any = await submit({ gpus: 0.5 });
    const two = await submit({ gpus: 2 });
    await until('both say why', async () => {
      const texts = [(await show(any)).reason_text, (await show(two)).reason_text];
      return texts.every((text) =>
        /every GPU it could use is closed: GPU 0.*GPU 1.*GPU 2/.test(text ?? ''),
      );
    });
    expect((await look()).waiting_anywhere).toBe(1);
    await resume(1);
    await stack.until(any, 'RUNNING');
    expect((await show(two)).reason_text).toMatch(/needs 2 GPUs.*closed/);
    await resume(0);
    await end(any);
    await stack.until(two, 'RUNNING');
    await end(two);
    await resume(2);
  });

  test.each([
    ['pause', '7', 404, refusal('not_found', 'index')],
    ['resume', '7', 404, refusal('not_found', 'index')],
    ['resume', '1', 409, refusal('conflict')],
    ['pause', 'x', 400, refusal('bad_request', 'index')],
    ['pause', '-1', 400, refusal('bad_request', 'index')],
  ])('cannot %s GPU %s', async (action, index, status, error) => {
    const reply = await stack.call('POST', `/gpus/${index}/${action}`);
    expect(reply).toMatchObject({ status, json: { error } });
  });

  test('cannot be paused twice, or with a reason that cannot be shown', async () => {
    const wrong = ['', 'a\nb', '\u001b[31m', 'x'.repeat(201), '\u202e'];
    const refused = (field: string) => ({
      status: 400,
      json: { error: refusal('bad_request', field) },
    });
    for (const reason of wrong)
      expect(await pause(1, new URLSearchParams({ reason }))).toMatchObject(refused('reason'));
    expect(await pause(1, new URLSearchParams({ why: 'x' }))).toMatchObject(refused('why'));
    const replies = await Promise.all([pause(1), pause(1), pause(1)]);
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 409, 409]);
    expect(replies.find(({ status }) => status === 409)?.json.error).toMatchObject({
      code: 'conflict',
      details: { by: 'admin', reason: 'paused over the API' },
    });
    expect((await resume(1)).status).toBe(200);
  });
});

describe('the state file', () => {
  const path = () => join(stack.root, 'gpu_scheduler_state.json');
  const state = async () => JSON.parse(await readFile(path(), 'utf8')) as Record<string, unknown>;

  test('pauses and resumes GPUs when edited, and shows the API’s pauses', async () => {
    await writeFile(path(), '{"paused_gpus": [1], "jobs": {"a": 1}}');
    await until('GPU 1 is paused', async () => (await gpu(1)).state === 'paused');
    expect((await gpu(1)).paused).toMatchObject({ by: 'the state file' });
    expect((await pause(0)).status).toBe(200);
    expect(await state()).toEqual({ paused_gpus: [0, 1], jobs: { a: 1 } });
    await writeFile(path(), '{"paused_gpus": [1');
    await until('it is reported', async () => (await look()).state_file_problem !== null);
    expect((await look()).gpus.map(({ paused }) => paused !== null)).toEqual([true, true, false]);
    await writeFile(path(), '{"paused_gpus": []}');
    await until('both are resumed', async () =>
      (await look()).gpus.every(({ paused }) => paused === null),
    );
    expect((await look()).state_file_problem).toBeNull();
    const job = await submit({ gpus: 1, allowed_gpus: '1' });
    await stack.until(job, 'RUNNING');
    await end(job);
  });
});

describe('foreign processes', () => {
  /** Written in one step, since it is read once a second. */
  const put = async (name: string, text: string) => {
    const path = join(stack.root, 'slurm', 'gpus', name);
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  };
  const remove = (name: string) => rm(join(stack.root, 'slurm', 'gpus', name), { force: true });
  let foreign: ChildProcess;

  beforeAll(async () => {
    foreign = spawn('sleep', ['600'], { uid: 65534, gid: 65534, stdio: 'ignore' });
    await once(foreign, 'spawn');
  });
  afterAll(() => {
    foreign.kill();
  });

  test('on a GPU close it until they are gone, and are named', async () => {
    await put('gpu1.processes', `${foreign.pid},70000,miner\u001b[2J\n`);
    await put('gpu1.usage', '75000 99 88');
    await until('it is closed', async () => (await gpu(1)).state === 'closed');
    // Seen at once, and closed to jobs as soon as a placeholder has it.
    await until('the placeholder has it', () =>
      slurm('R').includes('hold RUNNING gres:shard:nvidia1:100'),
    );
    const { closed, ...shown } = await gpu(1);
    expect(shown).toMatchObject({ memory_used_mb: 75000, load: 99, paused: null });
    expect(closed?.reason).toContain(`miner[2J (pid ${foreign.pid}, nobody)`);
    expect(closed?.processes).toEqual([
      { pid: foreign.pid, name: 'miner[2J', memory_mb: 70000, user: 'nobody' },
    ]);
    const job = await submit({ gpus: 0.5, allowed_gpus: '1', time_limit: '1' });
    await slurmHasLooked();
    await until('it says why', async () =>
      /every GPU it could use is closed: GPU 1: 75000 of 81920 MiB.*nobody/.test(
        (await show(job)).reason_text ?? '',
      ),
    );
    const metrics = await stack.call('GET', '/metrics');
    expect(metrics.text).toMatch(/^jobrunner_gpu_closed{gpu="1"} 1$/m);
    expect(metrics.text).toMatch(/^jobrunner_gpu_closed{gpu="0"} 0$/m);
    await put('gpu1.usage', '100 3 40');
    await stack.until(job, 'RUNNING');
    expect(await gpu(1)).toMatchObject({ state: 'in_use', closed: null });
    await end(job);
    await remove('gpu1.processes');
    await remove('gpu1.usage');
  });

  test('do not include our own jobs', async () => {
    const job = await submit({
      command: `echo $$ >pid; ${untilTold}`,
      gpus: 0.5,
      allowed_gpus: '1',
    });
    await stack.until(job, 'RUNNING');
    const pidFile = join(stack.root, 'results', String(job), 'pid');
    await until('it has begun', () =>
      readFile(pidFile, 'utf8').then(
        (text) => text.endsWith('\n'),
        () => false,
      ),
    );
    await put('gpu1.processes', `${(await readFile(pidFile, 'utf8')).trim()},80000,python\n`);
    await put('gpu1.usage', '80500 100 88');
    const before = Date.now();
    await until('it was checked four times', async () => {
      const { json } = await stack.call<{ samples: { load: number }[] }>(
        'GET',
        `/gpus/1/history?since=${before}`,
      );
      return json.samples.filter(({ load }) => load === 100).length >= 4;
    });
    expect(await gpu(1)).toMatchObject({ state: 'in_use', closed: null });
    await remove('gpu1.usage');
    await remove('gpu1.processes');
    await end(job);
  });

  test('are not confused with a failing driver, whose GPUs are closed until it answers', async () => {
    await put('broken', '');
    await until('all are closed', async () =>
      (await look()).gpus.every(({ closed }) =>
        /^does not answer: NVIDIA-SMI has failed/.test(closed?.reason ?? ''),
      ),
    );
    await until('placeholders have the GPUs without other jobs', () =>
      [0, 1].every((index) => slurm('R').includes(`hold RUNNING gres:shard:nvidia${index}:100`)),
    );
    expect((await fetch(`${stack.url}/health`)).status).toBe(200);
    const job = await submit({ gpus: 1 });
    await until('it says why', async () =>
      /does not answer/.test((await show(job)).reason_text ?? ''),
    );
    await remove('broken');
    await stack.until(job, 'RUNNING');
    await end(job);
  });
});

describe('a job whose GPU is idle', () => {
  test('gets a warning, which disappears once the GPU works', async () => {
    const { status, gpu_indices: on } = await show(idle);
    expect([status, on]).toEqual(['RUNNING', [2]]);
    const flagged = await until(
      'it gets a warning',
      async () => {
        const { warning } = await show(idle);
        return warning !== null && warning;
      },
      { deadline: 120_000 },
    );
    expect(flagged).toMatch(/idle for 1 minute/);
    await writeFile(join(stack.root, 'slurm', 'gpus', 'gpu2.usage'), '500 7 40');
    await until('it works', async () => (await show(idle)).warning === null);
    const history = await stack.call<{ samples: { at: string; load: number }[] }>(
      'GET',
      '/gpus/2/history',
    );
    const [first, ...later] = history.json.samples.map(({ at }) => Date.parse(at));
    // Their number depends on the machine's load.
    expect((later.at(-1) ?? 0) - (first ?? 0)).toBeGreaterThan(50_000);
    expect(history.json.samples.at(-1)).toMatchObject({ load: 7, memory_mb: 500, temperature: 40 });
    expect((await stack.call('GET', '/gpus/2/history?since=yesterday')).status).toBe(400);
    expect((await stack.call('GET', '/gpus/9/history')).status).toBe(404);
    await end(idle);
  });
});
