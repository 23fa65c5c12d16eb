import { expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { shellQuote } from '../../src/jobs/script/shell-quote.js';
import { fillPlaceholders } from '../../src/jobs/templates/placeholders.js';
import { fleetOf, plainRequest, runScript as run } from './script-support.js';

const nasty = [
  `'`,
  `''`,
  `"`,
  '`id`',
  '$(id)',
  '\\',
  '\n#SBATCH --x',
  '',
  ' ',
  '*',
  '~',
  '!',
  'ü😀',
  '\x01',
  '-n',
];

test.each(nasty)('bash reads %j back unchanged', (text) => {
  expect(execFileSync('bash', ['-c', `printf %s ${shellQuote(text)}`]).toString()).toBe(text);
});

test('parameters and arguments reach the body unchanged', () => {
  const request = {
    ...plainRequest,
    params: { a: nasty.join('|'), n: 1.5, list: [1, "'"] },
    env: { MINE: nasty.join('|') },
    args: nasty,
  };
  const { stdout } = run(
    { request },
    'printf "%s\\0" {{params.a}} {{params.n}} {{params.list}} {{params.missing}} "$MINE" {{args}}',
  );
  const text = nasty.join('|');
  expect(stdout.split('\0').slice(0, -1)).toEqual([text, '1.5', `[1,"'"]`, '', text, ...nasty]);
});

test('inherited variables are gone, and Slurm’s own variables stay', () => {
  const { stdout } = run({}, 'env', { SECRET: 's3cret', SLURM_JOB_ID: '5', MAIL: 'x' });
  expect(stdout).not.toMatch(/s3cret|MAIL=/);
  expect(stdout).toContain('SLURM_JOB_ID=5\n');
});

test('the GPUs from Slurm are named by UUID, and a job without GPUs sees none', () => {
  const fleet = fleetOf(2);
  const body = 'echo "[$CUDA_VISIBLE_DEVICES]"';
  const given = { SLURM_JOB_GPUS: '0,1', CUDA_VISIBLE_DEVICES: '3,5' };
  expect(run({ fleet }, body, given).stdout).toBe('[GPU-3,GPU-5]\n');
  expect(run({ fleet }, body, { SLURM_JOB_GPUS: '1' }).stdout).toBe('[GPU-5]\n');
  expect(run({ fleet }, body).stdout).toBe('[]\n');
  const share = { SLURM_JOB_GPUS: '1', SLURM_SHARDS_ON_NODE: '25' };
  expect(run({ fleet }, 'echo $JR_GPU_FRACTION $JR_GPU_MEM_MB', share).stdout).toBe(
    '0.250000 20\n',
  );
  expect(run({ fleet }, 'echo $JR_GPU_FRACTION $JR_GPU_MEM_MB', given).stdout).toBe(
    '1.000000 80\n',
  );
});

test('both streams are in the log, in order, unless it is split; the exit code is kept', () => {
  const body = 'echo out; echo err >&2; echo more';
  expect(run({}, body)).toMatchObject({ stdout: 'out\nerr\nmore\n', stderr: '' });
  const split = { ...plainRequest, split_log: true };
  expect(run({ request: split }, body)).toMatchObject({ stdout: 'out\nmore\n', stderr: 'err\n' });
  expect(run({}, 'exit 9').status).toBe(9);
});

test('an unknown placeholder is an error', () => {
  expect(() => run({}, 'echo {{nonsense}}')).toThrow('{{nonsense}}: no such value');
  expect(fillPlaceholders('a {{x}} {{ x }} {x}', () => '{{y}}')).toBe('a {{y}} {{ x }} {x}');
});
