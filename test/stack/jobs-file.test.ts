import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import SqliteDatabase from 'better-sqlite3';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LiveStack } from './live-stack.js';
import { until } from '../until.js';

interface Status {
  path: string;
  present: boolean;
  lines: number;
  submitted: number;
  unfinished_line: number | null;
  problems: { line: number | null; message: string }[];
  problem_count: number;
  last_scan: string | null;
}

interface ListedJob {
  job_id: number;
  status: string;
  name: string;
  args: string[];
  gpus: number;
  priority: number;
  allowed_gpus: number[] | null;
}

let stack: LiveStack;
let work: string;
let file: string;

/** Prints its arguments, and fails with --fail. */
const script = `
import os, sys
print("ran", sys.argv[1:], "on", os.environ.get("CUDA_VISIBLE_DEVICES"))
sys.exit(3 if "--fail" in sys.argv else 0)
`;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'jr-jobs-file-'));
  chmodSync(work, 0o755);
  for (const name of ['train.py', 'eval.py', 'inference.py', "it's, odd.py"])
    writeFileSync(join(work, name), script, { mode: 0o644 });
  stack = await LiveStack.start({ JR_SIMULATE_GPUS: '4', JR_JOBS_FILE_INTERVAL: '1' });
  file = join(stack.root, 'jobs.txt');
});

afterAll(async () => {
  await stack.remove();
  rmSync(work, { recursive: true });
});

async function status(): Promise<Status> {
  return (await stack.call<Status>('GET', '/ingest/jobs-file')).json;
}

/** Returns the status once the condition holds. */
async function statusWhen(isSo: (status: Status) => boolean): Promise<Status> {
  return until(`the status meets ${isSo.toString()}`, async (saw) => {
    const now = await status();
    saw(now);
    return isSo(now) && now;
  });
}

/** Returns the status after a scan that began after this call. */
async function nextScan(): Promise<Status> {
  const from = new Date().toISOString();
  // Changes the file, since an unchanged file is not read again.
  appendFileSync(file, '\n');
  return statusWhen(
    (s) => s.last_scan !== null && s.last_scan >= from && s.unfinished_line === null,
  );
}

async function jobs(): Promise<ListedJob[]> {
  return (await stack.call<{ jobs: ListedJob[] }>('GET', '/jobs?limit=1000')).json.jobs;
}

async function onlyJob(arg: string) {
  const found = (await jobs()).filter((job) => job.args.includes(arg));
  expect(found).toHaveLength(1);
  return found[0]?.job_id ?? 0;
}

describe('the jobs file', () => {
  test('exists; only root can write it, and only the service can read it', async () => {
    expect(statSync(file)).toMatchObject({ uid: 0, size: 0 });
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(await statusWhen((s) => s.last_scan !== null)).toMatchObject({
      path: file,
      present: true,
      lines: 0,
      problems: [],
    });
  });

  test('makes jobs of lines in all forms', async () => {
    appendFileSync(
      file,
      [
        '# priority,script_path,conda_env,arguments,allowed_gpus',
        '',
        `0,${work}/train.py,,--llm qwen2.5-7b-inst --epochs 100,0-3`,
        `1,${work}/eval.py,,--llm qwen2.5-3b-inst --dataset test,`,
        `2,${work}/inference.py,,--llm qwen2.5-32b-inst --batch_size 1,1,2,3`,
        `3,"${work}/it's, odd.py",,"--text ""hello, world"""`,
        '',
      ].join('\n'),
    );
    await statusWhen((s) => s.submitted === 4);
    const all = (await jobs()).reverse();
    expect(all).toMatchObject([
      { name: 'train.py', priority: 0, allowed_gpus: [0, 1, 2, 3], gpus: 1 },
      { name: 'eval.py', priority: 1, allowed_gpus: null, gpus: 1 },
      { name: 'inference.py', priority: 2, allowed_gpus: [1, 2, 3], gpus: 1 },
      { name: "it's, odd.py", priority: 3, allowed_gpus: null, gpus: 1 },
    ]);
    const [train, , , odd] = await Promise.all(all.map((job) => stack.finish(job.job_id)));
    expect(train).toMatchObject({ status: 'COMPLETED' });
    expect(train?.log).toContain("ran ['--llm', 'qwen2.5-7b-inst', '--epochs', '100'");
    expect(odd?.log).toContain("ran ['--text', 'hello, world'");
    expect(await status()).toMatchObject({ lines: 4, submitted: 4, problems: [] });
  });

  test('reports bad lines by number and accepts the others', async () => {
    const fresh = join(stack.root, 'fresh.txt');
    writeFileSync(
      fresh,
      Buffer.concat([
        Buffer.from(`0,${work}/train.py,,--good one,\nnonsense\n0,${work}/none.py,,,\n`),
        Buffer.from(`0,${work}/train.py,,,9\n0,${work}/train.py,,,x\n`),
        Buffer.from([0xff, 0xfe, 0x00, 0x0a]),
        Buffer.from(`x,${work}/train.py,,,\n0,${work}/train.py,,--good two,\n`),
      ]),
      { mode: 0o644 },
    );
    renameSync(fresh, file);
    const found = await statusWhen((s) => s.problem_count === 6);
    expect(found).toMatchObject({ present: true, lines: 7, submitted: 2 });
    expect(found.problems).toEqual([
      { line: 2, message: expect.stringContaining('this has no comma') },
      { line: 3, message: expect.stringMatching(/^script_path: .*none\.py"/) },
      { line: 4, message: expect.stringMatching(/^allowed_gpus: .*\b9\b/) },
      { line: 5, message: expect.stringMatching(/^allowed_gpus: (?!.*\b9\b)/) },
      { line: 6, message: expect.stringContaining('UTF-8') },
      { line: 7, message: expect.stringMatching(/^priority: /) },
    ]);
    await stack.finish(await onlyJob('one'));
    await stack.finish((await jobs())[0]?.job_id ?? 0);

    // A missing script is looked for again, although the file is unchanged.
    writeFileSync(join(work, 'none.py'), script, { mode: 0o644 });
    await statusWhen((s) => s.problem_count === 5 && s.submitted === 3);
  });

  test('waits for the end of a half-written line', async () => {
    appendFileSync(file, `0,${work}/train.py,,--half wri`);
    expect(await statusWhen((s) => s.unfinished_line !== null)).toMatchObject({
      unfinished_line: 9,
    });
    expect((await jobs()).filter((job) => job.args.includes('--half'))).toEqual([]);
    appendFileSync(file, 'tten,\n');
    await statusWhen((s) => s.submitted === 4);
    await stack.finish(await onlyJob('--half'));
    await onlyJob('written');
  });

  test('runs no line twice when it is replaced or the service restarts, not even a failed one', async () => {
    const lines = [1, 2].map((n) => `0,${work}/train.py,,--fail --n ${n},\n`).join('');
    const fresh = join(stack.root, 'fresh.txt');
    writeFileSync(fresh, lines, { mode: 0o644 });
    renameSync(fresh, file);
    await statusWhen((s) => s.lines === 2 && s.submitted === 2);
    const before = await jobs();
    for (const job of before.slice(0, 2))
      expect(await stack.finish(job.job_id)).toMatchObject({ status: 'FAILED', exit_code: 3 });

    writeFileSync(fresh, `# edited\n${lines}`, { mode: 0o644 });
    renameSync(fresh, file);
    await nextScan();
    writeFileSync(file, `${lines}# edited in place\n`);
    await nextScan();
    await stack.down();
    await stack.up();
    await statusWhen((s) => s.last_scan !== null);
    await nextScan();
    expect((await jobs()).length).toBe(before.length);

    // A repeated line retries the failed job.
    appendFileSync(file, `0,${work}/train.py,,--fail --n 1,\n`);
    await statusWhen((s) => s.submitted === 3);
    expect((await jobs()).length).toBe(before.length + 1);
  });

  test('returns the existing job for a line with the same work', async () => {
    const before = (await jobs()).length;
    appendFileSync(file, `5,${work}/train.py,,--good one,0\n`);
    await statusWhen((s) => s.submitted === s.lines && s.lines === 4);
    expect((await jobs()).length).toBe(before);

    writeFileSync(join(work, 'train.py'), `${script}# changed\n`);
    appendFileSync(file, `6,${work}/train.py,,--good one,0\n`);
    await statusWhen((s) => s.submitted === 5);
    expect((await jobs()).length).toBe(before + 1);
  });

  test('may disappear and return; after an interval its lines are new again', async () => {
    rmSync(file);
    await statusWhen((s) => !s.present);
    const before = (await jobs()).length;
    await untilForgotten();
    appendFileSync(file, `0,${work}/train.py,,--fail --n 2,\n`);
    chmodSync(file, 0o644);
    await statusWhen((s) => s.present && s.submitted === 1);
    expect((await jobs()).length).toBe(before + 1);
  });

  test('is not read while it is paused, also over a restart of the API', async () => {
    const before = (await status()).submitted;
    expect((await stack.call('POST', '/ingest/jobs-file/pause')).status).toBe(200);
    appendFileSync(file, `0,${work}/eval.py,,--while paused,\n`);
    await stack.killApi();
    const shown = async () => {
      const { json } = await stack.call<{ sources: Record<string, unknown>[] }>('GET', '/ingest');
      return json.sources.find(({ name }) => name === 'jobs-file');
    };
    const again = await shown();
    expect(again).toMatchObject({ last_scan: null });
    expect(again?.['paused']).not.toBeNull();
    await stack.call('POST', '/ingest/jobs-file/resume');
    await statusWhen((s) => s.submitted === before + 1);
    await stack.finish(await onlyJob('--while'));
    expect(await shown()).toMatchObject({ paused: null, found: 0, running: 0, lost: 0 });
  });

  test('does no harm if it is no jobs file', async () => {
    writeFileSync(file, Buffer.alloc(3 * 1024 ** 2, 'MZ\x90\0\n'));
    const binary = await statusWhen((s) => s.problem_count > 1000);
    expect(binary.problems).toHaveLength(100);
    expect(binary.problems[0]).toMatchObject({
      line: null,
      message: expect.stringContaining('hardly a jobs file'),
    });

    rmSync(file);
    mkdirSync(file);
    await statusWhen((s) => s.problems[0]?.message.includes('regular file') ?? false);
    rmSync(file, { recursive: true });

    writeFileSync(file, '', { mode: 0o600 });
    await statusWhen((s) => s.problems[0]?.message.includes('EACCES') ?? false);
    rmSync(file);
    appendFileSync(file, `0,${work}/eval.py,,--after everything,\n`, { mode: 0o644 });
    await statusWhen((s) => s.submitted === 1 && s.problem_count === 0);
    await stack.finish(await onlyJob('--after'));
  });
});

/** Waits until all removed lines are forgotten. */
async function untilForgotten(): Promise<void> {
  const db = new SqliteDatabase(join(stack.root, 'db', 'jr_slurm.db'), { readonly: true });
  try {
    const remembered = db.prepare('SELECT COUNT(*) FROM jobs_file_lines').pluck();
    await until('all lines are forgotten', () => remembered.get() === 0);
  } finally {
    db.close();
  }
}
