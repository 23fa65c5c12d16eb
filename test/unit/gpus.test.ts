import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { openDatabase, type Database } from '../../src/db/database.js';
import { NvidiaSmi } from '../../src/cluster/gpus/nvidia-smi.js';
import { missingPlaceholders } from '../../src/cluster/gpus/placeholders.js';
import { isIdle } from '../../src/cluster/gpus/idle.js';
import { Monitor } from '../../src/cluster/gpus/monitor.js';
import { parseProcesses, parseUsage } from '../../src/cluster/gpus/nvidia-smi-output.js';
import { ownerOf } from '../../src/cluster/gpus/owners.js';
import { simulatedSmi } from '../../src/cluster/gpus/simulated.js';
import { StateFile } from '../../src/cluster/gpus/state-file.js';
import { insertUsage, usageSince } from '../../src/cluster/gpus/usage-store.js';
import { foreignProcessesOn } from '../../src/cluster/gpus/foreign-processes.js';
import { parsePlaceholders } from '../../src/cluster/slurm/placeholder-jobs.js';

const script = fileURLToPath(new URL('../../docker/simulated-nvidia-smi.sh', import.meta.url));
const log = pino({ level: 'silent' });

let folder: string;
let db: Database;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jr-gpus-'));
  db = openDatabase(join(folder, 'test.db'));
});

afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

describe('nvidia-smi', () => {
  // The output for an H100, a GPU without figures (a vGPU, MIG) and a lost GPU.
  test('reports its figures; an unknown one is null, and a lost GPU is missing', () => {
    const output = [
      'GPU-5c1e2d3f-0a1b-2c3d-4e5f-60718293a4b5, 71234, 81559, 97, 64',
      'GPU-00000000-0000-0000-0000-0000000000ff, 10, [N/A], [N/A], [Not Supported]',
      'Unable to determine the device handle for GPU 0000:3B:00.0: GPU is lost.',
      '',
    ].join('\n');
    expect(parseUsage(output)).toEqual([
      {
        uuid: 'GPU-5c1e2d3f-0a1b-2c3d-4e5f-60718293a4b5',
        memoryUsedMb: 71234,
        memoryTotalMb: 81559,
        load: 97,
        temperature: 64,
      },
      {
        uuid: 'GPU-00000000-0000-0000-0000-0000000000ff',
        memoryUsedMb: 10,
        memoryTotalMb: null,
        load: null,
        temperature: null,
      },
    ]);
  });

  test('names processes, and no name can break the display', () => {
    const output = [
      'GPU-00000000-0000-0000-0000-000000000001, 42, 1024, python train.py, with commas',
      'GPU-00000000-0000-0000-0000-000000000001, 43, [N/A], \u001b[31mred\u0007\u202e',
      `GPU-00000000-0000-0000-0000-000000000001, 44, 1, ${'x'.repeat(5000)}`,
      'GPU-00000000-0000-0000-0000-000000000001, 45, 1, ',
    ].join('\n');
    expect(parseProcesses(output).map(({ pid, name, memoryMb }) => [pid, name, memoryMb])).toEqual([
      [42, 'python train.py, with commas', 1024],
      [43, '[31mred', null],
      [44, 'x'.repeat(100), 1],
      [45, 'unnamed', 1],
    ]);
  });
});

describe('foreign processes', () => {
  const thresholds = { memory: 0.8, load: 0.8 };
  const usage = (memoryUsedMb: number, load: number | null) => ({
    uuid: '',
    memoryUsedMb,
    memoryTotalMb: 1000,
    load,
    temperature: null,
  });
  const process = (user: string | null, memory_mb: number | null) => ({
    pid: 7,
    name: 'app',
    memory_mb,
    user,
  });

  test('are those of users without jobs, above a threshold only', () => {
    const theirs = [process('alice', 900)];
    expect(foreignProcessesOn(usage(900, 0), theirs, false, thresholds)).toMatch(
      /900 of 1000 MiB and 0% of its time, used by app \(pid 7, alice\)/,
    );
    expect(foreignProcessesOn(usage(10, 95), theirs, false, thresholds)).toMatch(/alice/);
    expect(foreignProcessesOn(usage(800, 80), theirs, false, thresholds)).toBeUndefined();
    expect(
      foreignProcessesOn(usage(900, 99), [process('runner', 900)], true, thresholds),
    ).toBeUndefined();
    expect(
      foreignProcessesOn(usage(900, 99), [process('runner', 900)], false, thresholds),
    ).toBeUndefined();
  });

  test('beside our jobs count with their own memory only', () => {
    const both = (theirs: number) => [process('runner', 950 - theirs), process('alice', theirs)];
    expect(foreignProcessesOn(usage(950, 10), both(50), true, thresholds)).toBeUndefined();
    expect(foreignProcessesOn(usage(950, 10), both(900), true, thresholds)).toMatch(/alice/);
  });

  test('without a name count if no job of ours is on the GPU', () => {
    expect(foreignProcessesOn(usage(900, null), [], true, thresholds)).toBeUndefined();
    expect(foreignProcessesOn(usage(900, null), [], false, thresholds)).toMatch(
      /900 of 1000 MiB, used by processes that cannot be seen from here/,
    );
    expect(foreignProcessesOn(usage(900, 1), [process(null, 900)], false, thresholds)).toMatch(
      /pid 7, user unknown/,
    );
  });

  test('are recognized by the owner of their process', () => {
    expect(ownerOf(1)).toBe('root');
    expect(ownerOf(2 ** 22 + 1)).toBeUndefined();
  });
});

describe('the monitor', () => {
  let at: number;
  let monitor: Monitor;
  const gpus = [0, 1].map((index) => ({
    index,
    device: '/dev/null',
    uuid: null,
    model: 'Simulated GPU',
    memoryMb: 81920,
  }));
  const put = (name: string, text: string) => writeFileSync(join(folder, name), text);
  const poll = async (times = 1) => {
    for (let i = 0; i < times; i++) {
      at += 1000;
      await monitor.poll();
    }
  };
  const reason = (index: number) => monitor.closure(index)?.reason;

  beforeEach(() => {
    at = 1_000_000;
    for (const { index } of gpus) put(`gpu${index}`, '');
    copyFileSync(script, simulatedSmi(folder));
    chmodSync(simulatedSmi(folder), 0o755);
    monitor = new Monitor({
      db,
      gpus,
      smi: new NvidiaSmi(simulatedSmi(folder), gpus),
      thresholds: { memory: 0.8, load: 0.8 },
      gpusWithJobs: () => new Set(),
      ownerOf,
      now: () => at,
      log,
    });
  });

  test('keeps the GPUs’ figures for a day', async () => {
    put('gpu1.usage', '4096 55 70');
    await poll();
    expect(usageSince(db, 1, 0)).toEqual([{ at, memory_mb: 4096, load: 55, temperature: 70 }]);
    at += 24 * 60 * 60 * 1000;
    await poll();
    expect(usageSince(db, 1, 0)).toHaveLength(1);
    expect(monitor.usage(0)?.usage).toMatchObject({ memoryUsedMb: 0, load: 0 });
  });

  test('closes a GPU after two polls, and opens it after two', async () => {
    await poll();
    put('gpu1.usage', '80000 99 80');
    put('gpu1.processes', `${process.pid},79000,node\u0007 jest\n`);
    await poll();
    expect(reason(1)).toBeUndefined();
    await poll();
    expect(reason(1)).toMatch(
      new RegExp(`80000 of 81920 MiB.*node jest \\(pid ${process.pid}, root\\)`),
    );
    expect(monitor.closure(1)?.processes).toEqual([
      { pid: process.pid, name: 'node jest', memory_mb: 79000, user: 'root' },
    ]);
    expect(reason(0)).toBeUndefined();
    put('gpu1.usage', '0 0 30');
    await poll();
    put('gpu1.usage', '80000 99 80');
    await poll();
    put('gpu1.usage', '0 0 30');
    await poll();
    expect(reason(1)).toBeDefined();
    await poll();
    expect(reason(1)).toBeUndefined();
  });

  test('decides at once at the very first poll', async () => {
    put('gpu0.usage', '80000 0 80');
    await poll();
    expect(reason(0)).toMatch(/cannot be seen from here/);
  });

  test('closes a lost GPU or a failing driver’s GPUs, with nvidia-smi’s message', async () => {
    await poll();
    put('gpu0.lost', '');
    await poll(2);
    expect(reason(0)).toMatch(/^does not answer: Unable to determine the device handle for GPU 0/);
    expect(reason(1)).toBeUndefined();
    put('broken', '');
    await poll(2);
    expect(reason(1)).toMatch(/^does not answer: NVIDIA-SMI has failed/);
    rmSync(join(folder, 'broken'));
    rmSync(join(folder, 'gpu0.lost'));
    await poll(2);
    expect([reason(0), reason(1)]).toEqual([undefined, undefined]);
  });

  test('survives a missing nvidia-smi', async () => {
    rmSync(simulatedSmi(folder));
    await poll();
    expect(reason(0)).toMatch(/^does not answer: .*ENOENT/);
  });
});

describe('placeholders', () => {
  const missing = (jobs: number[], running: number[], pending: number[]) =>
    missingPlaceholders(100, jobs, { running, pending });

  test('of a free GPU are one that occupies it, and one that waits', () => {
    expect(missing([], [], [])).toEqual([100, 100]);
    expect(missing([], [100], [])).toEqual([100]);
    expect(missing([], [100], [100])).toEqual([]);
  });

  test('behind a job with the whole GPU are one that waits', () => {
    expect(missing([100], [], [])).toEqual([100]);
    expect(missing([100], [], [100])).toEqual([]);
  });

  test('close the free part at once, and wait for each share in its size', () => {
    expect(missing([30, 20], [], [])).toEqual([50, 30, 20, 100]);
    expect(missing([30, 20], [50], [30, 20, 100])).toEqual([]);
    // The job with 30 shards has ended, and its placeholder has started or is about to.
    expect(missing([20], [50, 30], [20, 100])).toEqual([]);
    expect(missing([20], [50], [30, 20, 100])).toEqual([]);
  });

  test('are added for a job that started meanwhile', () => {
    expect(missing([30, 20], [], [70, 30, 100])).toEqual([50, 20]);
    expect(missing([30, 30], [40], [30, 100])).toEqual([30]);
  });

  test('are read in both releases’ formats', () => {
    const row = (id: string, state: string, tres: string, comment: string) =>
      id.padEnd(20) + state.padEnd(20) + tres.padEnd(80) + comment.padEnd(120);
    const output = [
      row('12', 'RUNNING', 'gres:shard:nvidia0:70', 'jobrunner-hold:0:ab'),
      row('13', 'PENDING', 'gres/shard:h100_2:100', 'jobrunner-hold:2:cd'),
    ].join('\n');
    expect(parsePlaceholders(output)).toEqual([
      { slurmJobId: 12, state: 'RUNNING', shards: 70, comment: 'jobrunner-hold:0:ab' },
      { slurmJobId: 13, state: 'PENDING', shards: 100, comment: 'jobrunner-hold:2:cd' },
    ]);
    expect(() => parsePlaceholders(row('14', 'PENDING', 'N/A', ''))).toThrow(/cannot be read/);
  });
});

describe('an idle GPU', () => {
  const minute = 60_000;
  const times = { now: 100 * minute, idleMs: 30 * minute, pollMs: 10_000 };
  const job = { startedAt: 60 * minute, gpus: [0] };
  const worked = (load: number | null, from = 70 * minute) => {
    for (let at = from; at <= times.now; at += minute)
      insertUsage(db, 0, { at, memory_mb: 1, load: 0, temperature: null });
    insertUsage(db, 0, { at: 90 * minute, memory_mb: 1, load, temperature: null });
  };

  test('is one that every poll found idle', () => {
    worked(0);
    expect(isIdle(db, job, times)).toBe(true);
    expect(isIdle(db, { ...job, gpus: [0, 1] }, times)).toBe(false);
    expect(isIdle(db, { ...job, startedAt: 71 * minute }, times)).toBe(false);
  });

  test.each([1, null])('is not one whose load was %s once', (load) => {
    worked(load);
    expect(isIdle(db, job, times)).toBe(false);
  });

  test('is not one without polls', () => {
    worked(0, 80 * minute);
    expect(isIdle(db, job, times)).toBe(false);
  });
});

describe('the state file', () => {
  const path = () => join(folder, 'gpu_scheduler_state.json');
  const put = (text: string) => writeFileSync(path(), text);
  const open = () => new StateFile(path(), 4, log);
  const none = { pause: [], resume: [] };

  test('pauses and resumes edited GPUs, and keeps other keys', async () => {
    put('{"paused_gpus": [1], "gpu_status": {"0": 0.5}}');
    const file = open();
    expect(await file.read([])).toEqual({ pause: [1], resume: [] });
    await file.write([3, 1]);
    expect(JSON.parse(readFileSync(path(), 'utf8'))).toEqual({
      paused_gpus: [1, 3],
      gpu_status: { '0': 0.5 },
    });
    expect(await file.read([1, 3])).toEqual(none);
    put('{"paused_gpus": [3, 0]}');
    expect(await file.read([1, 3])).toEqual({ pause: [0], resume: [1] });
    expect(await file.read([0, 3])).toEqual(none);
    expect(file.problem).toBeNull();
  });

  test.each([
    ['{"paused_gpus": [0', /JSON/],
    ['[0]', /expected object/],
    ['{"paused_gpus": "0"}', /paused_gpus/],
    ['{"paused_gpus": [1.5]}', /paused_gpus/],
    ['{"paused_gpus": [-1]}', /unknown GPU -1/],
    ['{"paused_gpus": [4]}', /unknown GPU 4/],
    ['\0\0\0', /JSON/],
  ])('%j changes nothing, is reported, and is not overwritten', async (text, problem) => {
    const file = open();
    put('{"paused_gpus": [2]}');
    await file.read([]);
    put(text);
    expect(await file.read([2])).toEqual(none);
    expect(file.problem).toMatch(problem);
    await file.write([2, 3]);
    expect(readFileSync(path(), 'utf8')).toBe(text);
    put('{"paused_gpus": [2, 0]}');
    expect(await file.read([2, 3])).toEqual({ pause: [0], resume: [] });
    expect(file.problem).toBeNull();
  });

  test('that is huge, a pipe or a folder is reported, and does not block', async () => {
    const file = open();
    put('');
    truncateSync(path(), 1024 ** 3);
    expect(await file.read([])).toEqual(none);
    expect(file.problem).toMatch(/larger than/);
    rmSync(path());
    execFileSync('mkfifo', [path()]);
    expect(await file.read([])).toEqual(none);
    expect(file.problem).toMatch(/not a regular file/);
    rmSync(path());
    execFileSync('mkdir', [path()]);
    await file.write([1]);
    expect(file.problem).toMatch(/not a regular file|EISDIR/);
  });

  test('is made when it is missing, and changes nothing when it is deleted', async () => {
    const file = open();
    expect(await file.read([1])).toEqual(none);
    await file.write([1]);
    expect(await open().read([])).toEqual({ pause: [1], resume: [] });
    rmSync(path());
    expect(await file.read([1])).toEqual(none);
    expect(file.problem).toBeNull();
    expect(existsSync(path())).toBe(false);
  });

  test('without a list changes nothing', async () => {
    put('{"other": 1}');
    expect(await open().read([0, 1])).toEqual(none);
    put('');
    expect(await open().read([0, 1])).toEqual(none);
  });

  test('that was edited while the service was down takes effect', async () => {
    put('{"paused_gpus": [2]}');
    expect(await open().read([0])).toEqual({ pause: [2], resume: [0] });
  });
});
