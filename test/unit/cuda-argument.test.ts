import { expect, test } from '@jest/globals';
import { fleetOf, plainRequest, runScript } from './script-support.js';

const print = 'printf "<%s>" {{args}}; echo " $CUDA_VISIBLE_DEVICES ${CUDA_DEVICE_ORDER:-}"';
const all = 'GPU-3,GPU-5,GPU-7,GPU-9 PCI_BUS_ID';
const words = (...args: string[]) => args.map((arg) => `<${arg}>`).join('');

function run(args: string[], cuda: 'replace' | 'add' = 'replace', gpus = 1, env = {}) {
  const request = { ...plainRequest, gpus, cuda, args };
  const given = gpus > 0 ? { SLURM_JOB_GPUS: '1,3', CUDA_VISIBLE_DEVICES: '1,3' } : {};
  return runScript({ request, fleet: fleetOf(4) }, print, { ...given, ...env }).stdout.trim();
}

test.each([
  [
    ['--cuda', '0'],
    ['--cuda', '1,3'],
  ],
  [['--cuda=0'], ['--cuda=1,3']],
  [['--cuda='], ['--cuda=1,3']],
  [
    ['--cuda', '0,1', '--x'],
    ['--cuda', '1,3', '--x'],
  ],
  [['--cuda'], ['--cuda', '1,3']],
  [
    ['--cuda', '--foo'],
    ['--cuda', '1,3', '--foo'],
  ],
  [
    ['--cuda', '-1', '-v'],
    ['--cuda', '1,3', '-v'],
  ],
  [
    ['a', '--cuda', "$(id)'", '--cuda', 'x', 'b'],
    ['a', '--cuda', '1,3', '--cuda', '1,3', 'b'],
  ],
  [
    ['--cuda', '--', '--cuda', '0'],
    ['--cuda', '1,3', '--', '--cuda', '0'],
  ],
])('the value of --cuda becomes the job’s GPUs: %j', (args, expected) => {
  expect(run(args)).toBe(`${words(...expected)} ${all}`);
});

test('--cuda is added if it is wanted and missing', () => {
  expect(run(['a b'], 'add')).toBe(`${words('a b', '--cuda', '1,3')} ${all}`);
  expect(run(['a', '--', 'b'], 'add')).toBe(`${words('a', '--cuda', '1,3', '--', 'b')} ${all}`);
  expect(run(['--cuda=9'], 'add')).toBe(`${words('--cuda=1,3')} ${all}`);
});

test('without --cuda nothing is added, and only the job’s own GPUs are visible', () => {
  expect(run(['--cudas', '0'])).toBe(`${words('--cudas', '0')} GPU-5,GPU-9`);
});

test('a job without GPUs keeps its arguments as they are', () => {
  expect(run(['--cuda', '0'], 'add', 0)).toBe(words('--cuda', '0'));
});

test('a request for memory instead of a fraction makes a job with a GPU', () => {
  const request = { ...plainRequest, gpu_mem_gb: 20, args: ['--cuda', '0'] };
  const given = { SLURM_JOB_GPUS: '2', SLURM_SHARDS_ON_NODE: '25' };
  expect(runScript({ request, fleet: fleetOf(4) }, print, given).stdout.trim()).toBe(
    `${words('--cuda', '2')} ${all}`,
  );
});

// No cgroup closes a device here, so bash's error message is simulated.
test('if the other GPUs are closed to the job, its own are counted from 0', () => {
  const closed = { 'BASH_FUNC_true%%': '() { echo "x: Operation not permitted" >&2; return 1; }' };
  expect(run(['--cuda', '9'], 'replace', 2, closed)).toBe(
    `${words('--cuda', '0,1')} GPU-5,GPU-9 PCI_BUS_ID`,
  );
});
