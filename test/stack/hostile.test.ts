import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execa } from 'execa';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LiveStack } from './live-stack.js';

let stack: LiveStack;
let work: string;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'jr-hostile-'));
  // Otherwise nftables refuses what other walls are to keep out.
  stack = await LiveStack.start({}, ['setpriv', '--bounding-set', '-net_admin']);
});

afterAll(async () => {
  await stack.remove();
  rmSync(work, { recursive: true });
});

const slurmConf = () => join(stack.root, 'slurm/etc/slurm.conf');

function as(user: string, command: string[], env: Record<string, string> = {}) {
  const switchUser = [`--reuid=${user}`, `--regid=${user}`, '--init-groups'];
  return execa('setpriv', [...switchUser, ...command], {
    env: { PATH: '/usr/bin:/bin', ...env },
    extendEnv: false,
    reject: false,
    cwd: '/',
  });
}

test('a slurm.conf that the API could have written drains no node', async () => {
  const drain = (conf: string) =>
    as(
      'jobrunner',
      ['sudo', '-n', '-u', 'slurm', '/usr/local/lib/jobrunner/set-node-state', 'box0', 'RESUME'],
      { SLURM_CONF: conf },
    );
  // Slurm would load its plugin as slurm; the error message would show the attempt.
  const text = readFileSync(slurmConf(), 'utf8').replace('AuthType=auth/munge', 'AuthType=auth/ev');
  const own = join(work, 'slurm/etc/slurm.conf');
  mkdirSync(join(own, '..'), { recursive: true });
  writeFileSync(own, text);
  chmodSync(work, 0o755);
  for (const path of [own, join(work, 'slurm/etc'), join(work, 'slurm'), work])
    chownSync(path, statSync(join(stack.root, 'db')).uid, 0);
  const refused = await drain(own);
  expect([refused.exitCode, refused.stderr]).toEqual([2, expect.stringMatching(/root’s alone/)]);

  const log = join(stack.root, 'logs', 'api.log');
  expect((await drain(log)).stderr).toMatch(/not a cluster’s slurm.conf/);
  const good = await drain(slurmConf());
  expect(good.stderr).not.toMatch(/SLURM_CONF/);
});

/**
 * Submits as only root can by hand. Jobs from a time when jobs could submit must do no harm either.
 */
const submitAsRunner = (...options: string[]) =>
  as('root', ['sbatch', '--uid=runner', '--gid=runner', '--mem=10M', ...options], {
    SLURM_CONF: slurmConf(),
  });

test('a job that gives itself a comment with line breaks hides no other job', async () => {
  const options = ['--begin=now+1hour', '--comment=x\n7    FAILED\n|y|'];
  const submitted = await submitAsRunner('--output=/dev/null', ...options, '--wrap=id');
  expect(submitted.stdout).toMatch(/^Submitted batch job \d+$/);
  const job = await stack.shell('echo seen');
  expect(job).toMatchObject({ status: 'COMPLETED', log: 'seen\n' });
});

test('a job with another job’s comment is not mistaken for that job', async () => {
  const held = await stack.submit({ command_key: 'shell', command: 'sleep 600', mem_gb: 0.2 });
  const { job_id: id, slurm_job_id: number } = held.json;
  await stack.until(id, 'RUNNING');
  const asked = await as('root', ['squeue', '--noheader', `--jobs=${number}`, '--format=%k'], {
    SLURM_CONF: slurmConf(),
  });
  expect(asked.stdout).toMatch(/^jobrunner:[0-9a-f]+$/);
  const options = [`--comment=${asked.stdout}`, '--chdir=/tmp', '--output=/dev/null'];
  const same = await submitAsRunner(...options, '--wait', '--wrap=true');
  expect(same.exitCode).toBe(0);
  const seen = await stack.call('GET', `/jobs/${id}`);
  expect(seen.json).toMatchObject({ status: 'RUNNING', slurm_job_id: number });
  await stack.call('POST', `/jobs/${id}/cancel`);
  await stack.until(id, 'CANCELLED');
});

test('a job cannot submit, change, cancel or see jobs, since it cannot reach munge', async () => {
  const other = await stack.submit({ command_key: 'shell', command: 'sleep 600', mem_gb: 0.2 });
  const { job_id: id, slurm_job_id: number } = other.json;
  await stack.until(id, 'RUNNING');
  const commands = [
    'sbatch --account=main --mem=10M --output=/dev/null --wrap=id',
    'sbatch --account=jr-somebody --mem=10M --output=/dev/null --wrap=id',
    `scontrol update JobId=${number} TimeLimit=1`,
    `scontrol requeue ${number}`,
    `scancel ${number}`,
    'scancel --user=runner',
    `squeue --noheader --jobs=${number}`,
    'sacctmgr --noheader list cluster',
    'srun --mem=10M true',
    `perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new("${stack.root}/run/munge/munge.socket") or die "$!\n"'`,
  ];
  const job = await stack.shell(
    `id -Gn; ${commands.map((command) => `{ ${command} && echo DONE; } 2>&1 &`).join('\n')}\nwait; true`,
    { split_log: true },
  );
  expect(job.status).toBe('COMPLETED');
  expect(job.log).toMatch(/^jr-owner runner\n/);
  expect(job.log).not.toContain('DONE');
  expect(job.log.match(/munge|Permission denied/gi)?.length).toBeGreaterThanOrEqual(
    commands.length,
  );
  expect((await stack.call('GET', `/jobs/${id}`)).json.status).toBe('RUNNING');
  await stack.call('POST', `/jobs/${id}/cancel`);
  await stack.until(id, 'CANCELLED');
});

test('the API can submit only as the users of jobs, and cannot make root read or run anything', async () => {
  const submit = async (
    options: string[],
    script: string,
    { conf = slurmConf(), as: user = 'runner' } = {},
  ) => {
    const command = ['sudo', '-n', '/usr/local/lib/jobrunner/submit-job', user, ...options];
    const api = ['--reuid=jobrunner', '--regid=jobrunner', '--init-groups', ...command];
    const env = { PATH: '/usr/bin:/bin', SLURM_CONF: conf };
    return execa('setpriv', api, {
      env,
      extendEnv: false,
      reject: false,
      cwd: '/',
      input: script,
    });
  };
  const refused = [
    '--uid=0',
    '--wrap=id',
    '--get-user-env',
    '--bbf=/etc/shadow',
    '/etc/shadow',
    '-Q',
  ];
  for (const option of refused)
    expect((await submit([option], '#!/bin/sh\n')).stderr).toMatch(/not one of the options/);
  for (const user of ['root', 'jobrunner', 'jr-remote', 'slurm', 'jr-job', '--uid=0', ''])
    expect((await submit([], '#!/bin/sh\n', { as: user })).stderr).toMatch(
      /not a user that jobs run as/,
    );
  const conf = join(stack.root, 'logs/api.log');
  expect((await submit([], '#!/bin/sh\n', { conf })).stderr).toMatch(/not a cluster’s slurm.conf/);
  const options = ['--parsable', '--mem=10M', '--chdir=/tmp', '--output=/dev/null'];
  const directives =
    '#!/bin/sh\n#SBATCH --uid=0\n#SBATCH --comment=mine\n#SBATCH --bbf=/etc/shadow\n';
  const { stdout: number } = await submit(options, `${directives}true\n`);
  expect(number).toMatch(/^\d+$/);
  const env = { SLURM_CONF: slurmConf() };
  const shown = await as('root', ['scontrol', 'show', 'job', number], env);
  expect(shown.stdout).toMatch(/UserId=runner\(\d+\) GroupId=jr-owner\(/);
  expect(shown.stdout).not.toMatch(/Comment=mine|BurstBuffer/);
  expect((await as('jobrunner', ['sudo', '-n', 'id'], env)).stderr).toMatch(/password|not allowed/);
});

test('a job cannot read a secret, state or log of the service, or become another user', async () => {
  const paths = [
    'secrets',
    'db',
    'munge',
    'mysql',
    'slurm/state',
    'logs/api.log',
    'logs/slurmd.log',
  ];
  for (const path of paths) expect(existsSync(join(stack.root, path))).toBe(true);
  const job = await stack.shell(
    `for path in ${paths.join(' ')} run/supervisord.conf slurm/etc/slurmdbd.conf; do
       [ ! -r "${stack.root}/$path" ] || echo "can read $path"
     done
     sudo -n true && echo root
     sudo -n -u slurm true && echo slurm
     true`,
    { split_log: true },
  );
  expect(job).toMatchObject({ status: 'COMPLETED', log: '' });
});

test('nothing is written through a log that is a link to a file of root’s', async () => {
  const target = join(work, 'of-root');
  writeFileSync(target, '', { mode: 0o600 });
  const job = await stack.shell(`ln -s ${target} "$JR_OUTPUT_DIR/out.log"`);
  const link = join(stack.root, 'results', String(job.job_id), 'out.log');
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
  const options = ['--chdir=/tmp', '--open-mode=append', `--output=${link}`, '--wait'];
  const submitted = await submitAsRunner(...options, '--wrap=echo written');
  expect(submitted.exitCode).not.toBe(0);
  expect(readFileSync(target, 'utf8')).toBe('');
});
