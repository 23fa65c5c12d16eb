import { expect, test } from '@jest/globals';
import { execa } from 'execa';
import { readFileSync } from 'node:fs';
import { environmentSchema } from '../../src/config/environment.js';
import { exports } from '../../src/jobs/script/environment.js';

const installTorch = 'docker/install-torch.sh';

test('install-torch.sh looks for PyTorch in the PATH of jobs', () => {
  const [, path] = /^jobs_path=(\S+)$/m.exec(readFileSync(installTorch, 'utf8')) ?? [];
  const ofJobs = exports({
    jobId: 1,
    experimentId: 'job-1',
    request: { env: {}, params: {} },
    outputDir: '/tmp',
  } as unknown as Parameters<typeof exports>[0]);
  expect(ofJobs).toContain(`export PATH='${path}'`);
});

test('run.sh refuses an unknown JR_TORCH before it installs anything', async () => {
  const { exitCode, stdout, stderr } = await execa('./run.sh', ['--install'], {
    env: { JR_TORCH: 'cuda' },
    reject: false,
  });
  expect({ exitCode, stdout, stderr }).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: 'run.sh: JR_TORCH: expected auto, debian, pip or none (leave it unset for auto)',
  });
});

test('run.sh, install-torch.sh and the settings have the same values of JR_TORCH', () => {
  const values = environmentSchema.shape.JR_TORCH.unwrap().options;
  const cases = `${values.join(' | ')}) ;;`;
  expect(readFileSync('run.sh', 'utf8')).toContain(cases);
  const handled = readFileSync(installTorch, 'utf8').matchAll(/^ {2}(\w+)\) .*;;$/gm);
  expect([...handled].map(([, value]) => value)).toEqual(values);
});
