import { describe, expect, test } from '@jest/globals';
import { parseDeviceMinor, parseSmi } from '../../src/cluster/gpus/nvidia-smi-output.js';
import { parseNodes } from '../../src/cluster/slurm/nodes.js';
import { parseSacct, sacctArguments } from '../../src/cluster/slurm/sacct.js';
import {
  parseSbatch,
  sbatchArguments,
  submitRemoteArguments,
} from '../../src/cluster/slurm/submit/sbatch.js';
import { parseSqueue } from '../../src/cluster/slurm/squeue.js';
import { parsePids } from '../../src/machines/daemons/job-processes.js';
import { slurmCanWatchMemory } from '../../src/machines/daemons/memory-watch.js';
import { formatTimeLimit, parseTimeLimit } from '../../src/config/time-limit.js';

/** Cells padded to their columns' widths, as `squeue --Format` prints them. */
function squeueLine(cells: string[]): string {
  const widths = [20, 20, 12, 64, 24, 24, 24, 80, 8, 120];
  return (
    [...cells.slice(0, 8), '0', ...cells.slice(8)]
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('') + '\n'
  );
}

describe('squeue', () => {
  test('distinguishes exit codes from signals, and waiting jobs from started ones', () => {
    const output =
      squeueLine([
        '3',
        'FAILED',
        '768',
        'NonZeroExitCode',
        '100',
        '101',
        '102',
        'box0',
        'jobrunner:a',
      ]) +
      squeueLine(['6', 'CANCELLED', '15', 'None', '100', '101', '102', 'box0', 'jobrunner:b']) +
      squeueLine(['8', 'PENDING', '0', 'BeginTime', '100', '999', '1099', '', 'jobrunner:c']) +
      squeueLine(['9', 'CANCELLED', '0', 'None', '100', '105', '105', '', 'jobrunner:d']);
    expect(parseSqueue(output)).toMatchObject([
      {
        slurmJobId: 3,
        state: 'FAILED',
        exitCode: 3,
        signal: 0,
        startedAt: 101_000,
        endedAt: 102_000,
      },
      { slurmJobId: 6, state: 'CANCELLED', exitCode: 0, signal: 15, reason: null },
      { slurmJobId: 8, state: 'PENDING', reason: 'BeginTime', startedAt: null, nodeList: null },
      { slurmJobId: 9, state: 'CANCELLED', startedAt: null, comment: 'jobrunner:d' },
    ]);
  });

  test('Slurm 24.11 prints code and signal instead of a status', () => {
    const [coded, killed] = parseSqueue(
      squeueLine(['3', 'FAILED', '3:0', 'NonZeroExitCode', '1', '1', '1', 'box0', 'a']) +
        squeueLine(['4', 'FAILED', '0:9', 'None', '1', '1', '1', 'box0', 'b']),
    );
    expect(coded).toMatchObject({ exitCode: 3, signal: 0 });
    expect(killed).toMatchObject({ exitCode: 0, signal: 9 });
    const odd = squeueLine(['5', 'FAILED', 'x', 'None', '1', '1', '1', 'box0', 'c']);
    expect(() => parseSqueue(odd)).toThrow('exit code that cannot be read: x');
  });

  test('a job that could not be ended has no exit code, and hides no other job', () => {
    const jobs = parseSqueue(
      squeueLine(['30', 'CANCELLED', '-1', 'None', '100', '101', '102', 'box0', 'a']) +
        squeueLine(['31', 'RUNNING', '0', 'None', '100', '101', '102', 'box0', 'b']),
    );
    expect(jobs).toMatchObject([
      { slurmJobId: 30, state: 'CANCELLED', exitCode: 0, signal: 0 },
      { slurmJobId: 31, state: 'RUNNING' },
    ]);
  });

  test('separators in a comment or reason move no column', () => {
    const [job] = parseSqueue(
      squeueLine(['1_[2-4]', 'PENDING', '0', 'Dependency | x', '1', 'N/A', 'N/A', '', 'a|b c']),
    );
    expect(job).toMatchObject({
      slurmJobId: 1,
      reason: 'Dependency | x',
      comment: 'a|b c',
      endedAt: null,
    });
  });

  test('line breaks in a comment do not make records', () => {
    const mine = squeueLine(['1', 'RUNNING', '0', '', '1', '2', 'N/A', 'box0', 'jobrunner:a']);
    const cells = ['2', 'PENDING', '0', '', '1', 'N/A', 'N/A', ''];
    const theirs = squeueLine([...cells, 'x\n7                   FAILED\n\nno record']);
    expect(parseSqueue(theirs + mine).map((job) => job.comment)).toEqual(['x', 'jobrunner:a']);
  });

  test('an unknown line or state is an error, not a guess', () => {
    expect(() =>
      parseSqueue(squeueLine(['slurm_load_jobs error', '', '', '', '', '', '', '', ''])),
    ).toThrow('cannot be read');
    expect(() => parseSqueue(squeueLine(['1', 'DANCING', '0', '', '', '', '', '', '']))).toThrow(
      'unknown job state: DANCING',
    );
  });
});

describe('sacct', () => {
  const delimiter = '|d6f2|';
  const line = (...cells: string[]) => `${cells.join(delimiter)}\n`;

  test('reads ended jobs, and the user who cancelled one', () => {
    const cancelled = ['6', 'CANCELLED by 995', '0:15', '100', 'Unknown', '102', 'None assigned'];
    const output =
      line('3', 'FAILED', '3:0', '100', '101', '102', 'box0', 'jobrunner:a') +
      line(...cancelled, 'x|y');
    expect(parseSacct(output, delimiter)).toMatchObject([
      { slurmJobId: 3, state: 'FAILED', exitCode: 3, signal: 0 },
      {
        slurmJobId: 6,
        state: 'CANCELLED',
        signal: 15,
        startedAt: null,
        nodeList: null,
        comment: 'x|y',
      },
    ]);
  });

  test('a comment that imitates a record does not make one', () => {
    const comment = 'x\n7|COMPLETED|0:0|1|1|1|box0|jobrunner:a\n\n';
    const output = line('3', 'FAILED', '3:0', '100', '101', '102', 'box0', comment);
    expect(parseSacct(output, delimiter).map((job) => job.slurmJobId)).toEqual([3]);
  });

  test('asks with a time in UTC, and a cut-off line is an error', () => {
    expect(sacctArguments({ since: 0 }, delimiter)).toContain('--starttime=1970-01-01T00:00:00');
    const ofTwo = sacctArguments({ slurmJobIds: [7, 12] }, delimiter);
    expect(ofTwo).toContain('--jobs=7,12');
    expect(ofTwo.join(' ')).not.toMatch(/time/);
    expect(() => parseSacct(`3${delimiter}FAILED\n`, delimiter)).toThrow('cannot be read');
  });
});

describe('sbatch', () => {
  const spec = {
    jobId: 7,
    user: 'runner',
    mayBeRemote: false,
    constraint: undefined,
    comment: 'jobrunner:a',
    account: undefined,
    name: '--wrap=id',
    cpus: 2,
    memoryMb: 512,
    gres: null,
    nice: 0,
    timeLimit: 90,
    workDir: '/r/1',
    logPath: '/l/1/stdout.log',
    partition: undefined,
  } as const;

  test('every value follows its own option', () => {
    const args = sbatchArguments(spec);
    expect(args.every((arg) => arg.startsWith('--'))).toBe(true);
    expect(args).toContain('--job-name=--wrap=id');
    expect(args).toContain('--time=0-00:01:30');
    expect(args).toContain('--export=ALL');
    expect(args.some((arg) => arg.startsWith('--gres'))).toBe(false);
    expect(sbatchArguments({ ...spec, gres: 'gpu:2' })).toContain('--gres=gpu:2');
  });

  test('for an SSH host, only the caller’s allowed options are passed, after the job’s user and number', () => {
    const args = submitRemoteArguments({ ...spec, gres: 'shard:50', constraint: 'gpumem81920' });
    expect(args).toEqual([
      'runner',
      '7',
      '--comment=jobrunner:a',
      '--job-name=--wrap=id',
      '--cpus-per-task=2',
      '--mem=512M',
      '--gres=shard:50',
      '--nice=0',
      '--time=0-00:01:30',
      '--constraint=gpumem81920',
    ]);
  });

  test('the job number is read with and without a cluster, and from no other text', () => {
    expect(parseSbatch('12\n')).toBe(12);
    expect(parseSbatch('12;jobrunner\n')).toBe(12);
    expect(() => parseSbatch('Submitted batch job 12\n')).toThrow('no job number');
  });
});

describe('time limits', () => {
  test.each([
    ['90', 5400],
    ['1:30', 90],
    ['00:10:00', 600],
    ['1-12', 129_600],
    ['7-00:00:00', 604_800],
    ['UNLIMITED', 'UNLIMITED'],
    ['', undefined],
    ['1:2:3:4', undefined],
    ['-1', undefined],
    ['1h', undefined],
  ])('%s is read as Slurm reads it', (text, seconds) => {
    expect(parseTimeLimit(text)).toBe(seconds);
  });

  test('a formatted limit is read back', () => {
    for (const seconds of [1, 60, 3599, 86_400, 604_799])
      expect(parseTimeLimit(formatTimeLimit(seconds))).toBe(seconds);
  });
});

test('the jobs’ processes are grouped by job', () => {
  const listed =
    'PID      JOBID    STEPID   LOCALID GLOBALID\n101      7        batch    0       0\n102      7        batch    -       -\n-1 8\n103 9 0 1 1\n';
  expect([...parsePids(listed)]).toEqual([
    [7, [101, 102]],
    [9, [103]],
  ]);
});

test('sinfo’s nodes are read, with allocations and the reason for draining', () => {
  const widths = [40, 40, 24, 40, 20, 20, 2000, 2000, 200];
  const cells = [
    'box0',
    'main*',
    'drained',
    '1/15/0/16',
    '22057',
    '512',
    'gpu:nvidia0:1',
    '(null)',
    'a reason',
  ];
  const line = cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('');
  expect(parseNodes(`${line}\n`)).toEqual([
    {
      name: 'box0',
      partition: 'main*',
      state: 'drained',
      cpus: 16,
      cpusAllocated: 1,
      memoryMb: 22_057,
      memoryAllocatedMb: 512,
      gres: 'gpu:nvidia0:1',
      gresUsed: null,
      reason: 'a reason',
    },
  ]);
});

describe('nvidia-smi', () => {
  test('pairs names with the kernel’s bus addresses', () => {
    const output =
      '0, GPU-6a1c9f0e-1111-2222-3333-444455556666, 00000000:3B:00.0, 143771, NVIDIA H200\n' +
      '1, GPU-7b2d0a1f-1111-2222-3333-444455556666, 00000001:AF:00.0, [N/A], NVIDIA, with a comma\n';
    expect(parseSmi(output)).toMatchObject([
      { index: 0, busId: '0000:3b:00.0', memoryMb: 143_771, model: 'NVIDIA H200' },
      { index: 1, busId: '0001:af:00.0', memoryMb: 0, model: 'NVIDIA, with a comma' },
    ]);
    expect(() => parseSmi('No devices were found\n')).toThrow('cannot be read');
  });

  test('the driver’s text has a device’s minor number', () => {
    const information = 'Model: \t\t NVIDIA H200\nDevice Minor: \t 3\nGPU Excluded:\t No\n';
    expect(parseDeviceMinor(information)).toBe(3);
    expect(parseDeviceMinor('nothing')).toBeUndefined();
  });
});

test('the capabilities show whether Slurm can watch memory', () => {
  expect(slurmCanWatchMemory('Name:\tnode\nCapEff:\t000001ffffffffff\n')).toBe(true);
  // Docker's default set.
  expect(slurmCanWatchMemory('Name:\tnode\nCapEff:\t00000000a80425fb\n')).toBe(false);
});
