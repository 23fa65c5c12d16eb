import { expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../src/config/package-root.js';

/**
 * A module that makes PyTorch report a GPU, and prints the template's calls instead of doing them.
 */
const program = `
import torch
torch.cuda.is_available = lambda: True
torch.cuda.get_device_name = lambda index: "H100"
torch.cuda.device_count = lambda: 1
torch.cuda.set_per_process_memory_fraction = lambda fraction: print("set", fraction)
import train
print(train.choose_device())
`;

function deviceWith(env: Record<string, string>): string[] {
  return execFileSync('/usr/bin/python3', ['-c', program], {
    cwd: join(packageRoot, 'templates', 'pytorch_example'),
    env: { PATH: '/usr/bin:/bin', PYTHONDONTWRITEBYTECODE: '1', PYTHONPATH: '.', ...env },
  })
    .toString()
    .split('\n')
    .filter((line) => line !== '');
}

test('the PyTorch template keeps to its share of a GPU, and says so', () => {
  expect(deviceWith({ JR_GPU_FRACTION: '0.250000', JR_GPU_MEM_MB: '20480' })).toEqual([
    'device: H100 (1 visible)',
    'set 0.25',
    'GPU memory: kept to 25% of the GPU, 20480 MiB',
    'cuda',
  ]);
});

test('with a whole GPU, or without a given share, it has no limit', () => {
  const whole = ['device: H100 (1 visible)', 'cuda'];
  expect(deviceWith({ JR_GPU_FRACTION: '1.000000', JR_GPU_MEM_MB: '81920' })).toEqual(whole);
  expect(deviceWith({})).toEqual(whole);
});
