import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobRequest } from '../../src/jobs/job.js';
import { makeCondaLike } from '../conda-like.js';
import { plainRequest, runScript } from './script-support.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'jr-environments-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const where = 'echo "$(type -P python) ${CONDA_DEFAULT_ENV:-} ${VIRTUAL_ENV:-}"';
const run = (request: Partial<JobRequest>, body = where) =>
  runScript({ request: { ...plainRequest, split_log: true, ...request } }, body);

test('a conda environment is found by CONDA_EXE, and activated by name or path', () => {
  const root = join(folder, 'by exe');
  const env = { CONDA_EXE: makeCondaLike(root, 'conda', ['ml', 'other']) };
  const python = join(root, 'envs/ml/bin/python');
  expect(run({ env, conda_env: 'ml' }).stdout).toBe(`${python} ml \n`);
  expect(run({ env, conda_env: join(root, 'envs/ml') }).stdout).toBe(`${python} ml \n`);
  expect(run({ env, conda_env: 'base' }).stdout).toBe(`${join(root, 'bin/python')} base \n`);
});

test('conda is found in PATH and in the home folder', () => {
  const home = join(folder, 'home');
  const root = join(home, 'miniforge3');
  makeCondaLike(root, 'conda', ['ml']);
  const ml = `${join(root, 'envs/ml/bin/python')} ml \n`;
  expect(run({ env: { HOME: home }, conda_env: 'ml' }).stdout).toBe(ml);
  const path = { PATH: `${root}/bin:/usr/bin:/bin`, HOME: '/nowhere' };
  expect(run({ env: path, conda_env: 'ml' }).stdout).toBe(ml);
});

test('micromamba, named by MAMBA_EXE, activates an environment of its own root', () => {
  const root = join(folder, 'mamba');
  const env = { MAMBA_EXE: makeCondaLike(root, 'micromamba', ['ml']) };
  const ml = `${join(root, 'envs/ml/bin/python')} ml \n`;
  expect(run({ env, conda_env: 'ml' }).stdout).toBe(ml);
  const { stderr } = run({ env, conda_env: 'nope' });
  expect(stderr).toContain(`there is no environment nope for ${env.MAMBA_EXE}; it lists ml\n`);
});

test('a missing conda environment ends the job before its command, and the error names the existing ones', () => {
  const env = { CONDA_EXE: makeCondaLike(join(folder, 'missing'), 'conda', ['ml', 'other']) };
  const { status, stdout, stderr } = run({ env, conda_env: 'nope' });
  expect(status).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toContain(
    `jobrunner: conda_env: there is no environment nope for ${env.CONDA_EXE}; it lists base, ml, other\n`,
  );
});

test('a missing conda ends the job before its command, and the error names the searched places', () => {
  const { status, stdout, stderr } = run({ env: { HOME: '/nowhere' }, conda_env: 'ml' });
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^jobrunner: conda_env: no conda, mamba or micromamba found by CONDA_EXE/);
  expect(stderr).toContain('/nowhere');
  const wrong = run({ env: { CONDA_EXE: '/nowhere/conda' }, conda_env: 'ml' });
  expect(wrong.stderr).toMatch(/CONDA_EXE is \/nowhere\/conda, which is no program .* can run\n$/);
  const broken = run({ env: { CONDA_EXE: '/bin/false' }, conda_env: 'ml' });
  expect([broken.status, broken.stderr]).toEqual([
    2,
    'jobrunner: conda_env: /bin/false does not work: see above\n',
  ]);
});

test('a virtual environment is activated, and a missing or broken one ends the job before its command', () => {
  const venv = join(folder, "v 'env");
  execFileSync('/usr/bin/python3', ['-m', 'venv', '--without-pip', venv]);
  const body = 'python -c "import sys; print(sys.prefix)"; type -P python3';
  expect(run({ venv }, body).stdout).toBe(`${venv}\n${join(venv, 'bin/python3')}\n`);

  unlinkSync(join(venv, 'bin/python'));
  const broken = run({ venv });
  expect([broken.status, broken.stdout]).toEqual([2, '']);
  expect(broken.stderr).toContain(
    `jobrunner: venv: there is no usable ${join(venv, 'bin/python')}`,
  );

  const missing = run({ venv: '/no/such $(id)' });
  expect([missing.status, missing.stdout]).toEqual([2, '']);
  expect(missing.stderr).toContain('jobrunner: venv: there is no /no/such $(id)/bin/activate');
});

test('a wrong activate script ends the job before its command', () => {
  const venv = join(folder, 'strange');
  mkdirSync(join(venv, 'bin'), { recursive: true });
  writeFileSync(join(venv, 'bin/activate'), 'false\n');
  expect(run({ venv }).stderr).toBe(
    `jobrunner: venv: ${join(venv, 'bin/activate')} failed: see above\n`,
  );
});
