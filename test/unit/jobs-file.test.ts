import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase, type Database } from '../../src/db/database.js';
import {
  formatJobLine,
  isBlank,
  maxLineBytes,
  parseJobLine,
} from '../../src/ingest/jobs-file/job-line.js';
import { maxFileBytes, readLines } from '../../src/ingest/jobs-file/read-lines.js';
import { scriptDigest } from '../../src/ingest/jobs-file/script-digest.js';
import { submitFieldsOf } from '../../src/ingest/jobs-file/submit-fields.js';
import { digestOfLine, ProcessedLines } from '../../src/ingest/jobs-file/processed-lines.js';
import type { JobId } from '../../src/jobs/job.js';

let work: string;
let db: Database;

beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'jr-jobs-file-'));
  db = openDatabase(join(work, 'db'));
});

afterEach(() => {
  db.close();
  rmSync(work, { recursive: true });
});

const line = (fields: Partial<ReturnType<typeof parseJobLine>>) => ({
  priority: '0',
  script: '/x.py',
  condaEnv: undefined,
  args: [],
  allowedGpus: undefined,
  ...fields,
});

describe('a line of the jobs file', () => {
  test.each([
    [
      '0,/path/to/train.py,pytorch_env,--llm qwen2.5-7b-inst --epochs 100,0-3',
      {
        script: '/path/to/train.py',
        condaEnv: 'pytorch_env',
        args: ['--llm', 'qwen2.5-7b-inst', '--epochs', '100'],
        allowedGpus: [0, 1, 2, 3],
      },
    ],
    [
      '1,/path/to/eval.py,pytorch_env,--llm qwen2.5-3b-inst --dataset test,',
      {
        priority: '1',
        script: '/path/to/eval.py',
        condaEnv: 'pytorch_env',
        args: ['--llm', 'qwen2.5-3b-inst', '--dataset', 'test'],
      },
    ],
    [
      '2,/path/inference.py,,--llm qwen2.5-32b-inst --batch_size 1,4,5,6,7',
      {
        priority: '2',
        script: '/path/inference.py',
        args: ['--llm', 'qwen2.5-32b-inst', '--batch_size', '1'],
        allowedGpus: [4, 5, 6, 7],
      },
    ],
    ['0,/x.py', {}],
    [' 0 , /x.py ,, ,', {}],
    [',/x.py,,,', { priority: undefined }],
    ['0,/x.py,,--a 1', { args: ['--a', '1'] }],
    ['0,/x.py,,,0,2-3', { allowedGpus: [0, 2, 3] }],
    ['0,/x.py,,,"0,2-3"', { allowedGpus: [0, 2, 3] }],
    [
      '0,/x.py,,"--text ""hello, world"" --n 1",1',
      { args: ['--text', 'hello, world', '--n', '1'], allowedGpus: [1] },
    ],
    [
      `0,/x.py,,--text "hello, world" --t 'a,b',1`,
      { args: ['--text', 'hello, world', '--t', 'a,b'], allowedGpus: [1] },
    ],
    [`0,"/o'brien, jr/x.py",,,`, { script: "/o'brien, jr/x.py" }],
  ])('%s', (text, expected) => {
    expect(parseJobLine(text)).toEqual(line(expected));
  });

  test.each([
    ['nonsense', 'no comma'],
    ['0,train.py,,,', 'script_path: expected an absolute path, got "train.py"'],
    ['0,/x.py,,--a 1,0-', 'allowed_gpus: expected GPU indices such as 0,2-3, got "0-"'],
    ['0,/x.py,,--ids a,b,c', 'arguments that hold commas need quotes'],
    ['0,/x.py,,--a "1,2', 'the quote " is never closed'],
    [`0,/x.py,,"--a it's",`, "arguments: the quote ' is never closed"],
  ])('%s is refused', (text, message) => {
    expect(() => parseJobLine(text)).toThrow(message);
  });

  test.each([
    [{ priority: '1001' }, 'priority: '],
    [{ priority: '-1' }, 'priority: '],
    [{ priority: 'high' }, 'priority: expected a whole number'],
    [{ condaEnv: 'a b' }, 'conda_env: expected the name of a conda environment'],
  ])('with %j is refused by the name of its column', (fields, message) => {
    const convert = () => submitFieldsOf(line(fields), { gpus: 1, screen: false });
    expect(convert).toThrow(message);
  });

  test('asks for --cuda and no duplicates, and runs under its script’s name', () => {
    const fields = submitFieldsOf(line({ args: ['--llm', 'm'] }), {
      gpus: undefined,
      screen: true,
    });
    expect(fields).toMatchObject({
      command_key: 'script',
      params: { path: '/x.py' },
      name: 'x.py',
      priority: 0,
      cuda: 'add',
      dedup: true,
      screen: true,
    });
    expect(fields.gpus).toBeUndefined();
  });

  test('reads back as it was written', () => {
    const words = ['--a 1', '--t "x, y"', `--t 'x, "y"'`, '"a b"', '""', "'#'", ' --lead ', 'ü😀'];
    for (const args of words) {
      const text = formatJobLine({
        priority: '3',
        script: '/a, "b"/#x.py',
        condaEnv: 'env',
        args,
        allowedGpus: '0,2-3',
      });
      const plain = parseJobLine(`3,/x.py,env,"${args.replaceAll('"', '""')}",0,2-3`);
      expect(parseJobLine(text)).toEqual({ ...plain, script: '/a, "b"/#x.py' });
      expect(isBlank(text)).toBe(false);
    }
    const fields = { priority: '0', script: '/x.py', condaEnv: '', args: '', allowedGpus: '' };
    expect(() => formatJobLine({ ...fields, args: 'a\nb' })).toThrow('line ends');
    expect(() => formatJobLine({ ...fields, args: 'a'.repeat(maxLineBytes) })).toThrow('KiB');
  });
});

describe('reading lines', () => {
  async function read(path: string, limit = Infinity) {
    const lines: (string | undefined)[] = [];
    const file = await open(path);
    try {
      const ended = await readLines(file, ({ number, bytes }) => {
        expect(number).toBe(lines.length + 1);
        lines.push(bytes?.toString());
        return lines.length < limit;
      });
      return { lines, ...ended };
    } finally {
      await file.close();
    }
  }

  test('finds lines across chunks, leaves the unfinished one, and skips lines that are too long', async () => {
    const long = 'a'.repeat(maxLineBytes);
    const path = join(work, 'jobs.txt');
    writeFileSync(path, `one\n\n${long}\n${long}b\n${'x'.repeat(300_000)}\nlast\nhalf`);
    expect(await read(path)).toEqual({
      lines: ['one', '', long, undefined, undefined, 'last'],
      end: 'end',
      unfinished: 7,
    });
    expect(await read(path, 2)).toEqual({ lines: ['one', ''], end: 'stopped', unfinished: null });
  });

  test('ends at the limit of a huge file', async () => {
    const path = join(work, 'huge');
    writeFileSync(path, 'one\n');
    truncateSync(path, 100 * maxFileBytes);
    expect(await read(path)).toEqual({ lines: ['one'], end: 'too_large', unfinished: null });
  });
});

describe('lines that were processed', () => {
  test('stay processed where a restored backup lies under another JR_ROOT', () => {
    const id = { digest: digestOfLine('0,/a.py,,,'), nth: 1 };
    const under = (root: string, path = `${root}/lists/jobs.txt`) =>
      new ProcessedLines(db, path, root, () => 0);
    under('/opt/jobrunner').begin(id);
    under('/opt/jobrunner').finish(id, 7 as JobId);
    expect(under('/data/restored').jobIds).toEqual([7]);
    // A file elsewhere is another one under every JR_ROOT.
    expect(under('/data', '/srv/lists/jobs.txt').isProcessed(id)).toBe(false);
  });

  test('stay processed that an earlier version knew by their absolute path', () => {
    const id = { digest: digestOfLine('0,/a.py,,,'), nth: 1 };
    db.exec(
      `INSERT INTO jobs_file_lines (path, digest, nth, key, job_id) VALUES ('/opt/jobrunner/jobs.txt', '${id.digest}', 1, 'k', 7)`,
    );
    const open = (root: string) => new ProcessedLines(db, `${root}/jobs.txt`, root, () => 0);
    expect(open('/opt/jobrunner').isProcessed(id)).toBe(true);
    expect(open('/data/restored').isProcessed(id)).toBe(true);
  });

  test('stay processed over a restart, equal ones separately, under their first key', () => {
    const id = { digest: digestOfLine('0,/x.py'), nth: 1 };
    const before = new ProcessedLines(db, '/jobs.txt', '/root', () => 0);
    const key = before.begin(id);
    expect(before.isProcessed(id)).toBe(false);

    const after = new ProcessedLines(db, '/jobs.txt', '/root', () => 0);
    expect(after.begin(id)).toBe(key);
    after.finish(id, 7 as JobId);

    const last = new ProcessedLines(db, '/jobs.txt', '/root', () => 0);
    expect(last.isProcessed(id)).toBe(true);
    expect(last.isProcessed({ ...id, nth: 2 })).toBe(false);
    expect(new ProcessedLines(db, '/other.txt', '/root', () => 0).isProcessed(id)).toBe(false);
  });

  test('are forgotten only after they have been out of the file for long enough', () => {
    let now = 0;
    const id = { digest: digestOfLine('0,/x.py'), nth: 1 };
    const there = new Map([[id.digest, 1]]);
    const processed = new ProcessedLines(db, '/jobs.txt', '/root', () => now);
    processed.begin(id);
    processed.finish(id, 7 as JobId);

    processed.sweep(new Map(), 1000);
    now = 999;
    processed.sweep(new Map(), 1000);
    expect(processed.isProcessed(id)).toBe(true);
    expect(processed.hasGone).toBe(true);
    processed.sweep(there, 1000);
    expect(processed.hasGone).toBe(false);

    processed.sweep(new Map(), 1000);
    now = 1999;
    processed.sweep(new Map(), 1000);
    expect(processed.isProcessed(id)).toBe(false);
    expect(new ProcessedLines(db, '/jobs.txt', '/root', () => now).isProcessed(id)).toBe(false);
  });
});

test('a script is identified by its content', async () => {
  const path = join(work, 'x.py');
  writeFileSync(path, 'print(1)\n');
  const first = await scriptDigest(path);
  writeFileSync(path, 'print(2)\n');
  expect(await scriptDigest(path)).not.toBe(first);
  await expect(scriptDigest(join(work, 'none.py'))).rejects.toThrow('does not exist');
  await expect(scriptDigest(work)).rejects.toThrow('is not a regular file');
  await expect(scriptDigest('/dev/zero')).rejects.toThrow('is not a regular file');
});
