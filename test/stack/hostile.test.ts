import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execa } from 'execa';
import {
  chmodSync,
  chownSync,
  existsSync,
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
  stack = await LiveStack.start();
}, 60_000);

afterAll(async () => {
  await stack.remove();
  rmSync(work, { recursive: true });
}, 60_000);

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

test('a node is not drained by a slurm.conf that the API itself could have written', async () => {
  const drain = (conf: string) =>
    as(
      'jobrunner',
      ['sudo', '-n', '-u', 'slurm', '/usr/local/lib/jobrunner/set-node-state', 'box0', 'RESUME'],
      { SLURM_CONF: conf },
    );
  // Slurm would load the plugin it names, as slurm; that it is tried is seen by the word of its failure.
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

test('a job that gives itself a comment with line breaks hides no other job', async () => {
  const options = ['--mem=10M', '--begin=now+1hour', '--comment=x\n7    FAILED\n|y|'];
  const submitted = await as('runner', ['sbatch', '--output=/dev/null', ...options, '--wrap=id'], {
    SLURM_CONF: slurmConf(),
  });
  expect(submitted.stdout).toMatch(/^Submitted batch job \d+$/);
  const job = await stack.shell('echo seen');
  expect(job).toMatchObject({ status: 'COMPLETED', log: 'seen\n' });
});

test('what a job submits under another’s comment is not taken for that job', async () => {
  const held = await stack.submit({ command_key: 'shell', command: 'sleep 60', mem_gb: 0.2 });
  const { job_id: id, slurm_job_id: number } = held.json;
  await stack.until(id, 'RUNNING');
  const job = await stack.shell(
    `comment=$(squeue --noheader --jobs=${number} --format=%k)
     cd /tmp && sbatch --mem=10M --output=/dev/null --comment="$comment" --wait --wrap=true`,
  );
  expect(job.status).toBe('COMPLETED');
  const seen = await stack.call('GET', `/jobs/${id}`);
  expect(seen.json).toMatchObject({ status: 'RUNNING', slurm_job_id: number });
  await stack.call('POST', `/jobs/${id}/cancel`);
  await stack.until(id, 'CANCELLED');
}, 30_000);

test('a job reads no secret, state or log of the service, and asks Slurm for no more than its own', async () => {
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
     scontrol update NodeName=box0 State=DRAIN Reason=x && echo drained
     scontrol shutdown && echo stopped
     sacctmgr --immediate modify user runner set adminlevel=Admin && echo admin
     strigger --set --node --idle --program=/bin/true && echo trigger
     sudo -n true && echo root
     sudo -n -u slurm true && echo slurm
     true`,
  );
  const { text: errors } = await stack.call('GET', `/jobs/${job.job_id}/log?stream=stderr`);
  expect(job.status).toBe('COMPLETED');
  const said = job.log.split('\n').filter((line) => line !== '' && !errors.includes(line));
  expect(said).toEqual([]);
}, 30_000);

test('a log that is a link to a file of root’s is not written through', async () => {
  const target = join(work, 'of-root');
  writeFileSync(target, '', { mode: 0o600 });
  const job = await stack.shell(
    `cd "$JR_OUTPUT_DIR" && ln -s ${target} out.log
     sbatch --wait --mem=10M --open-mode=append --output="$PWD/out.log" --wrap='echo written'`,
  );
  expect(job.status).toBe('FAILED');
  expect(readFileSync(target, 'utf8')).toBe('');
}, 30_000);
