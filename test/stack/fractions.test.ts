import { copyFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ErrorCode } from '../../src/errors.js';
import { gpuJobs, type GpuJob } from './gpu-jobs.js';
import { LiveStack } from './live-stack.js';
import { refusal } from '../refusal.js';

let stack: LiveStack;

beforeAll(async () => {
  stack = await LiveStack.start({ JR_SIMULATE_GPUS: '4', JR_JOBS_FILE_INTERVAL: '3600' });
});

afterAll(async () => {
  await stack.remove();
});

const { submit, show, end } = gpuJobs(() => stack);

describe('fractions', () => {
  test('a share is on one GPU, and the job finds its share', async () => {
    const tell = 'echo "$JR_GPU_FRACTION $JR_GPU_MEM_MB $CUDA_VISIBLE_DEVICES"';
    const [half, memory, whole, none] = await Promise.all([
      stack.shell(tell, { gpus: 0.5 }),
      stack.shell(tell, { gpu_mem_gb: 20 }),
      stack.shell(tell, { gpus: 2 }),
      stack.shell(`${tell}; compgen -e | grep -c JR_GPU`, {}),
    ]);
    expect(half.log).toMatch(/^0\.500000 40960 [0-3]\n$/);
    expect(memory.log).toMatch(/^0\.250000 20480 [0-3]\n$/);
    expect(whole.log).toMatch(/^1\.000000 81920 [0-3],[0-3]\n$/);
    expect(none.log).toBe('  \n0\n');
  });

  test('shares never exceed a GPU, and no share is split over two GPUs', async () => {
    const big = await Promise.all([0, 1, 2, 3].map(() => submit({ gpus: 0.6 })));
    for (const id of big) await stack.until(id, 'RUNNING');
    const waiting = await submit({ gpus: 0.5 });
    const small = await Promise.all([0, 1, 2, 3].map(() => submit({ gpus: 0.4 })));
    for (const id of small) await stack.until(id, 'RUNNING');
    expect((await stack.call('GET', `/jobs/${waiting}`)).json.status).toBe('PENDING');
    await end(...small, big[0] ?? 0);
    await stack.until(waiting, 'RUNNING');
    await end(waiting, ...big.slice(1));
  });

  test('a whole GPU is never shared, also after one of its sharing jobs has ended', async () => {
    const halves: number[] = [];
    for (let i = 0; i < 8; i++)
      halves.push(await submit({ gpus: 0.4, allowed_gpus: String(i % 4) }));
    for (const id of halves) await stack.until(id, 'RUNNING');
    await end(...halves.slice(0, 4));
    const whole = await submit({ gpus: 1 });
    const two = await submit({ gpus: 2 });
    const share = await submit({ gpus: 0.6 });
    await stack.until(share, 'RUNNING');
    for (const id of [whole, two])
      expect((await stack.call('GET', `/jobs/${id}`)).json.status).toBe('PENDING');
    await end(...halves.slice(4), share);
    for (const id of [whole, two]) await stack.until(id, 'RUNNING');
    await end(whole, two);
  });

  test('memory is rounded up to whole shares, so that the jobs on one GPU fit its memory', async () => {
    // 80 GiB: 26.7 GiB are 33.375 shares.
    const ids: number[] = [];
    for (let i = 0; i < 3; i++) ids.push(await submit({ gpu_mem_gb: 26.7, allowed_gpus: '2' }));
    await stack.until(ids[0] ?? 0, 'RUNNING');
    await stack.until(ids[1] ?? 0, 'RUNNING');
    expect((await show(ids[0] ?? 0)).gres).toBe('shard:nvidia2:34');
    const states = await Promise.all(
      ids.map(async (id) => (await stack.call('GET', `/jobs/${id}`)).json.status),
    );
    expect(states.filter((state) => state === 'PENDING')).toHaveLength(1);
    for (const id of ids) await writeFile(join(stack.root, 'results', String(id), 'end'), '');
    for (const id of ids) await stack.finish(id);
  });

  test.each<[object, number, ErrorCode, string]>([
    [{ gpus: -0.5 }, 400, 'bad_request', 'gpus'],
    [{ gpus: 'NaN' }, 400, 'bad_request', 'gpus'],
    [{ gpus: 1.5 }, 400, 'bad_request', 'gpus'],
    [{ gpus: 5 }, 422, 'unprocessable', 'gpus'],
    [{ gpus: 2, allowed_gpus: '1' }, 422, 'unprocessable', 'gpus'],
    [{ gpus: 0.5, gpu_mem_gb: 1 }, 400, 'bad_request', 'gpu_mem_gb'],
    [{ gpu_mem_gb: 81 }, 422, 'unprocessable', 'gpu_mem_gb'],
    [{ gpus: 1, allowed_gpus: '0,9' }, 422, 'unprocessable', 'allowed_gpus'],
    [{ gpus: 1, allowed_gpus: '3-1' }, 400, 'bad_request', 'allowed_gpus'],
    [{ gpus: 1, allowed_gpus: '' }, 400, 'bad_request', 'allowed_gpus'],
    [{ gpus: 1, priority: -1 }, 400, 'bad_request', 'priority'],
    [{ gpus: 1, priority: 1.5 }, 400, 'bad_request', 'priority'],
    [{ gpus: 1, partition: 'hold' }, 422, 'unprocessable', 'partition'],
  ])('%j is refused', async (fields, status, code, field) => {
    const reply = await stack.submit({ command_key: 'shell', command: 'true', ...fields });
    expect(reply).toMatchObject({ status, json: { error: refusal(code, field) } });
  });

  test('the smallest fraction is one share', async () => {
    const id = await submit({ gpus: 0.0001 });
    expect((await show(id)).gres).toBe('shard:1');
    await end(id);
  });
});

describe('models', () => {
  const gres = async (fields: Record<string, unknown>) => {
    const dry = await stack.call<{ request: { gpus: number } }>('POST', '/jobs', {
      body: JSON.stringify({ command_key: 'shell', command: 'true', dry_run: true, ...fields }),
      headers: { 'Content-Type': 'application/json' },
    });
    return dry.json.request.gpus;
  };

  test('the table decides, an explicit number overrides it, and after a broken table the last good one stays in use', async () => {
    const path = join(stack.root, 'llm_config.json');
    const write = async (text: string) => {
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
    };
    expect(await gres({ llm: 'unknown' })).toBe(1);
    await write(
      '{"default_requirement": 0.8, "models": {"small": 0.5, "huge": 1.2, "__proto__x": 1}}',
    );
    expect(await gres({ llm: 'small' })).toBe(0.5);
    expect(await gres({ args: ['--llm', 'small', '--epochs', '1'] })).toBe(0.5);
    expect(await gres({ args: ['--llm=huge'] })).toBe(2);
    expect(await gres({ llm: 'unknown' })).toBe(0.8);
    expect(await gres({ llm: 'toString' })).toBe(0.8);
    expect(await gres({ llm: 'small', gpus: 0 })).toBe(0);
    expect(await gres({})).toBe(0);
    await write('{"models": {"small": 0.25');
    expect(await gres({ llm: 'small' })).toBe(0.5);
    await write('{"models": {"small": -1}}');
    expect(await gres({ llm: 'small' })).toBe(0.5);
    await write('{"models": {"small": 0.25}}');
    expect(await gres({ llm: 'small' })).toBe(0.25);
    await copyFile('/dev/null', path);
    expect(await gres({ llm: 'small' })).toBe(0.25);
  });
});

describe('priority', () => {
  test('a lower number runs first, a level runs in order of submission, and the priority can be changed', async () => {
    const blocker = await submit({ gpus: 1, allowed_gpus: '0' });
    await stack.until(blocker, 'RUNNING');
    const order = join(stack.root, 'results', String(blocker), 'order');
    const note = (name: string) => ({
      command: `flock ${order}.lock sh -c 'echo ${name} >>${order}'`,
      gpus: 1,
      allowed_gpus: '0',
    });
    const usual = await submit(note('usual'));
    const others = [await submit(note('last')), await submit({ ...note('urgent'), priority: 1 })];
    const late = await submit({ ...note('late'), priority: 900 });
    others.push(await submit({ ...note('urgent2'), priority: 1 }));
    const changed = await stack.call<GpuJob>('POST', `/jobs/${late}/priority`, {
      body: JSON.stringify({ priority: 100 }),
      headers: { 'Content-Type': 'application/json' },
    });
    expect(changed.json.priority).toBe(100);
    const bottom = await submit({ ...note('bottom'), priority: 1000 });
    await end(blocker);
    for (const id of [usual, ...others, late, bottom]) await stack.finish(id);
    const ran = await stack.call(
      'GET',
      `/outputs/download_by_job?job_id=${blocker}&rel_path=order`,
    );
    expect(ran.text).toBe('urgent\nurgent2\nusual\nlast\nlate\nbottom\n');
    const again = await stack.call('POST', `/jobs/${usual}/priority`, {
      body: new URLSearchParams({ priority: '5' }),
    });
    expect(again).toMatchObject({ status: 409, json: { error: refusal('conflict') } });
  });
});

describe('allowed GPUs', () => {
  test('the least busy allowed GPU is chosen, and a waiting job moves to a free one', async () => {
    const first = await submit({ gpus: 1, allowed_gpus: '0,2-3' });
    const second = await submit({ gpus: 1, allowed_gpus: '0,2-3' });
    const third = await submit({ gpus: 0.5, allowed_gpus: [0, 3] });
    for (const id of [first, second, third]) await stack.until(id, 'RUNNING');
    expect([(await show(first)).gres, (await show(second)).gres, (await show(third)).gres]).toEqual(
      ['shard:nvidia0:100', 'shard:nvidia2:100', 'shard:nvidia3:50'],
    );
    // All their allowed GPUs are in use, so each waits for one of them.
    const share = await submit({ gpus: 0.7, allowed_gpus: '0,2' });
    const bound = (await show(share)).gres;
    expect(bound).toMatch(/^shard:nvidia[02]:70$/);
    const other = bound?.includes('nvidia0') === true ? second : first;
    await end(other);
    await stack.until(share, 'RUNNING');
    expect((await show(share)).gres).toBe(
      bound?.includes('nvidia0') === true ? 'shard:nvidia2:70' : 'shard:nvidia0:70',
    );
    await end(share, third, other === first ? second : first);
  });
});

describe('no duplicates', () => {
  test('a queued, running or completed job is not run again; a failed one is', async () => {
    const job = {
      command_key: 'shell',
      command: 'echo same; exit "$CODE"',
      mem_gb: 0.1,
      dedup: true,
    };
    const good = await stack.run({ ...job, env: { CODE: '0' } });
    const again = await stack.submit({ ...job, env: { CODE: '0' }, priority: 5 });
    expect([again.status, again.json.job_id]).toEqual([200, good.job_id]);
    const bad = await stack.run({ ...job, env: { CODE: '1' } });
    const retried = await stack.run({ ...job, env: { CODE: '1' } });
    expect(retried.job_id).toBeGreaterThan(bad.job_id);
    const plain = await stack.run({ ...job, env: { CODE: '0' }, dedup: false });
    expect(plain.job_id).toBeGreaterThan(retried.job_id);
    const sides = await Promise.all(
      [1, 2, 3].map(() => stack.submit({ ...job, env: { CODE: '0', N: '2' } })),
    );
    expect(new Set(sides.map((side) => side.json.job_id)).size).toBe(1);
  });
});
