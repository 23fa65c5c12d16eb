import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readCsv } from '../../src/ingest/git-queue/csv-rows.js';
import { parseCommandLine, shellWords } from '../../src/ingest/git-queue/command-line.js';
import { after, claimJob, resetJobs } from '../../src/ingest/git-queue/transitions.js';
import { QueueFile } from '../../src/ingest/git-queue/queue-file.js';
import { readyJobs, type QueueState } from '../../src/ingest/git-queue/queue-state.js';
import { readArgs, readKwargs, toWords } from '../../src/ingest/git-queue/row-arguments.js';

const comma = 0x2c;
const seed = `script,args,kwargs,status
dummy.py,"[""1""]","{""cheese"": ""on,toast""}",ready
dummy.py,"[""2""]","{""beans"": ""on,toast""}",ready
`;

/** Reads each file with Python's csv module, which the queue's older readers use. */
function inPython(files: Buffer[]): string[][][] {
  const program = `
import csv, io, json, sys
print(json.dumps([list(csv.reader(io.StringIO(bytes.fromhex(f).decode(), newline=''))) for f in json.load(sys.stdin)]))`;
  const input = JSON.stringify(files.map((file) => file.toString('hex')));
  return JSON.parse(execFileSync('python3', ['-c', program], { input }).toString()) as string[][][];
}

/** The same in every run, and different at every call. */
function numbers(from: number): (below: number) => number {
  let state = from;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test('files of many shapes are read as Python reads them', () => {
  const next = numbers(7);
  const pieces = ['a', 'ü', ' ', ',', ';', '"', '""', '\n', '\r\n', "'", '{', '\\'];
  const files = Array.from({ length: 300 }, () => {
    const end = ['\n', '\r\n', '\r'][next(3)] ?? '';
    const rows = Array.from({ length: 1 + next(5) }, () =>
      Array.from({ length: 1 + next(4) }, () => {
        const text = Array.from({ length: next(5) }, () => pieces[next(pieces.length)]).join('');
        return /[",\r\n]/.test(text) || next(3) === 0 ? `"${text.replaceAll('"', '""')}"` : text;
      }).join(','),
    );
    return Buffer.from(rows.join(end) + (next(2) === 0 ? end : ''));
  });
  const expected = inPython(files);
  for (const [i, file] of files.entries()) {
    const rows = readCsv(file, comma).map((row) => row.fields.map(({ text }) => text));
    // Python reads empty lines as rows without a field.
    expect({ file: file.toString(), rows }).toEqual({
      file: file.toString(),
      rows: expected[i]?.filter((row) => row.length > 0),
    });
  }
});

describe('changing a status', () => {
  const shapes: Record<string, string> = {
    'Unix lines': seed,
    'Windows lines': seed.replaceAll('\n', '\r\n'),
    'old Mac lines': seed.replaceAll('\n', '\r'),
    'no line end at the end': seed.trimEnd(),
    'a byte order mark': `\ufeff${seed}`,
    'more columns, in a different order': `note,status,kwargs,owner,args,script
"keep, ""this""  ","ready",{},me,[],dummy.py
,ready,,,,"b.py"
`,
    semicolons: 'status;script;args;kwargs\nready;a.py;"[""1;2""]";{}\n ready ;b.py;;\n',
    tabs: 'script\targs\tkwargs\tstatus\na.py\t[]\t{}\tready\nb.py\t[]\t{}\tready\n',
    'line ends inside quotes':
      'script,args,kwargs,status\na.py,"[""x""\n]","{\r\n}",ready\n\n\nb.py,[],{},ready\n',
    'lines of several kinds': 'script,args,kwargs,status\r\na.py,[],{},ready\nb.py,[],{},ready\r\n',
  };
  test.each(Object.entries(shapes))('leaves every other byte: %s', (_name, text) => {
    const before = QueueFile.read(Buffer.from(text));
    expect(before.problems).toEqual([]);
    expect(before.rows.map(({ status }) => status)).toEqual(['ready', 'ready']);
    for (const [i, row] of before.rows.entries()) {
      const running = before.withStatus(row, 'running');
      expect(running.rows.map(({ status }) => status)).toEqual(
        [0, 1].map((at) => (at === i ? 'running' : 'ready')),
      );
      const changed = running.rows[i];
      if (changed === undefined) throw new Error('the row is gone');
      expect(running.withStatus(changed, 'ready').bytes.equals(before.bytes)).toBe(true);
      expect(running.bytes.length).toBe(before.bytes.length + 'running'.length - 'ready'.length);
    }
    const both = before.withStatuses(before.rows, 'running');
    expect(both.rows.map(({ status }) => status)).toEqual(['running', 'running']);
    expect(both.withStatuses(both.rows, 'ready').bytes.equals(before.bytes)).toBe(true);
  });

  test('of one row leaves the rest unchanged in a file that is not all UTF-8', () => {
    const file = Buffer.from(
      'script,args,kwargs,status,note\na.py,[],{},ready,caf\xe9\n',
      'latin1',
    );
    const queue = QueueFile.read(file);
    const [row] = queue.rows;
    if (row === undefined) throw new Error('there is no row');
    expect(queue.withStatus(row, 'run').bytes.toString('latin1')).toBe(
      'script,args,kwargs,status,note\na.py,[],{},run,caf\xe9\n',
    );
  });

  test.each(Object.entries(shapes))(
    'a job is added in the dialect of the file: %s',
    (_name, text) => {
      const job = parseCommandLine('python dummy.py 1 --cheese="on,toast"');
      const before = QueueFile.read(Buffer.from(text));
      const added = before.withJob(job);
      expect(added.problems).toEqual([]);
      expect(added.rows.slice(0, 2)).toEqual(before.rows);
      expect(added.rows[2]).toMatchObject({ ...job, status: 'ready' });
      expect(added.bytes.subarray(0, before.bytes.length).equals(before.bytes)).toBe(true);
    },
  );
});

test('of equal running rows, the one with the longest silent runner is reset', () => {
  const text = 'script,args,kwargs,status\na.py,,,ready\na.py,,,ready\na.py,,,ready\n';
  const file = QueueFile.read(Buffer.from(text));
  let state: QueueState = { commit: undefined, file, records: new Map(), problems: [] };
  for (const leaseUntil of [3000, 1000, 2000]) {
    const handle = { worker: 'w', nonce: String(leaseUntil), leaseUntil };
    const claimed = claimJob(state, readyJobs(state)[0]?.key ?? '', undefined, handle, 0);
    state = after(state, claimed.change);
  }
  const [first] = state.file.rows;
  const { change } = resetJobs(state, (row) => row === first);
  expect([...(change?.records.keys() ?? [])]).toEqual([[...state.records.keys()][1]]);
  expect(change?.file?.rows.map(({ status }) => status)).toEqual(['ready', 'running', 'running']);
});

test('a bad row is a problem with its line, and the other rows are read', () => {
  const file = QueueFile.read(
    Buffer.from(`script,args,kwargs,status
a.py,[[1]],{},ready
b.py,not json,{},ready
c.py,[],[],ready
d.py,[],{},redy
,[],{},ready
e.py,"[]"x,{},ready
f.py
g.py,[],"{""a b"": 1}",ready
"h
.py",[],{},ready
z.py,[],{},ready
"open,[],{},ready
never.py,[],{},ready
`),
  );
  expect(file.rows.map(({ script, line }) => [script, line])).toEqual([['z.py', 12]]);
  expect(file.problems.map(({ line }) => line)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 13]);
  expect(file.problems.at(-1)?.message).toMatch(/never closed/);
  expect(() => file.withJob({ script: 'x.py', args: '[]', kwargs: '{}' })).toThrow(/never closed/);
});

test.each([
  ['', /is empty/],
  ['a,b,c\n', /does not begin with the names of its columns/],
  ['script,args,kwargs,status,status\n', /has the column status twice/],
])('a file that is no queue is refused with a reason: %j', (text, reason) => {
  expect(() => QueueFile.read(Buffer.from(text))).toThrow(reason);
});

test('a command line is split as a shell splits it', () => {
  const lines = [
    `dummy.py 1 --cheese="on,toast"`,
    `a 'b c'\\'d "e \\" \\$ \\x"  f\\ g '' ""h`,
    `x "two\nlines" 'a\\b'`,
    `tab\there back\\\nslash`,
  ];
  for (const line of lines) {
    const shown = execFileSync('sh', ['-c', `for w in ${line}; do printf '%s\\0' "$w"; done`]);
    expect(shellWords(line)).toEqual(shown.toString().split('\0').slice(0, -1));
  }
  expect(() => shellWords('a "b')).toThrow('the quote " is never closed');
});

test.each([
  [`dummy.py 1 --cheese="on,toast"`, 'dummy.py', ['1', '--cheese=on,toast']],
  ['python3 a.py -v x --flag --n -5', 'a.py', ['-v', 'x', '--flag', '--n=-5']],
  ['a.py --x=1 --x=2 --empty=', 'a.py', ['--x=1', '--x=2', '--empty=']],
  [`a.py -- --not-an-option 'ü "q"'`, 'a.py', ['--not-an-option', 'ü "q"']],
])('an added job runs with the typed words: %s', (line, script, words) => {
  const row = parseCommandLine(line);
  expect(row.script).toBe(script);
  expect(toWords(readArgs(row.args), readKwargs(row.kwargs))).toEqual(words);
});

test('a row is written as by the old tool', () => {
  expect(
    QueueFile.empty().withJob(parseCommandLine('dummy.py 1 --cheese="on,toast"')).bytes.toString(),
  ).toBe(seed.split('\n').slice(0, 2).join('\n') + '\n');
});

test.each(['python', '', '--x=1', 'a.py --a\u0001b=1'])('no job: %j', (line) => {
  expect(() => parseCommandLine(line)).toThrow();
});

test('values of options become the words that Python programs expect', () => {
  expect(
    toWords([1, 'a', true], { on: true, off: false, none: null, n: 0.5, many: ['x', 1] }),
  ).toEqual([...['1', 'a', 'true'], ...['--on', '--n=0.5', '--many=x', '--many=1']]);
});
