import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { alternatingLines, printAlternating } from '../alternating-lines.js';
import { untilTold } from './gpu-jobs.js';
import type { JobReply, LiveStack } from './live-stack.js';
import { ExternalApi } from './external-api.js';
import { namesOfOurs } from './external-plan.js';
import { ExternalCluster } from './external-cluster.js';
import { refusal } from '../refusal.js';
import { until } from '../until.js';

let cluster: ExternalCluster;
let api: ExternalApi;
let stacks: Record<string, LiveStack>;

const slow = (stack: LiveStack, fields: object = {}) =>
  stack.submit({ command_key: 'shell', command: untilTold, mem_gb: 0.1, ...fields });
const tellToEnd = (stack: LiveStack, id: number) =>
  writeFileSync(join(stack.root, 'results', String(id), 'end'), '');

beforeAll(async () => {
  cluster = await ExternalCluster.start();
  api = new ExternalApi(cluster);
  await api.putGoodToken();
  stacks = await api.startBothWays();
});

afterAll(async () => {
  await Promise.all(Object.values(stacks ?? {}).map((stack) => stack.remove()));
  await cluster?.remove();
});

describe.each([
  ['commands', 'jobrunner'],
  ['rest', 'runner'],
])('over the %s of an external cluster', (way, user) => {
  const stack = () => stacks[way] as LiveStack;

  test('the external cluster’s partitions, nodes and GPUs are shown, and its health is good', async () => {
    const { json: health } = await stack().call<object>('GET', '/health');
    expect(health).toMatchObject({ status: 'ok', slurmctld: 'up', slurmdbd: 'up' });
    const { json } = await stack().call<{ partitions: object[] }>('GET', '/partitions');
    expect(json.partitions).toMatchObject([
      { name: 'cpu', max_time: '0-02:00:00', default_time: '0-00:10:00', nodes: ['c1'] },
      { name: 'gpu', max_time: '0-01:00:00', max_memory_mb: 3000, nodes: ['g1'] },
      { name: 'all', max_time: 'UNLIMITED', nodes: expect.arrayContaining(['c1', 'g1']) },
      ...namesOfOurs.map((name) => ({ name, nodes: ['c1'] })),
    ]);
    const { json: gpus } = await stack().call<{ nodes: object[] }>('GET', '/gpus');
    expect(gpus.nodes).toMatchObject([
      { node: 'g1', types: [{ type: 'a100', count: 2, used: 0 }], shards: null },
    ]);
  });

  test('a job runs as the external cluster’s user, with its log, outputs and GPU', async () => {
    const job = await stack().shell(
      'id -un; echo "$HOME"; echo oops >&2; mkdir d; echo w >d/model.pt; echo $SLURM_JOB_ACCOUNT-$SLURM_GPUS_ON_NODE',
      { partition: 'gpu', gpus: 1, gpu_type: 'a100' },
    );
    expect(job).toMatchObject({
      status: 'COMPLETED',
      exit_code: 0,
      node: 'g1',
      gres: 'gpu:a100:1',
    });
    const home = execFileSync('getent', ['passwd', user], { encoding: 'utf8' }).split(':')[5];
    const account = way === 'commands' ? 'phys' : 'bio';
    expect(job.log).toBe(`${user}\n${home}\noops\n${account}-1\n`);
    const { json } = await stack().call<{ outputs: object[] }>(
      'GET',
      `/outputs/by_job/${job.job_id}`,
    );
    expect(json.outputs).toMatchObject([{ output_id: 'd/model.pt', size: 2 }]);
    const { status } = await stack().call('DELETE', `/jobs/${job.job_id}`);
    expect(status).toBe(204);
    expect(await readdir(join(stack().root, 'results'))).not.toContain(String(job.job_id));
  });

  test('its log has both streams in order, or standard error in a separate file', async () => {
    const [one, split] = await Promise.all([
      stack().shell(printAlternating, { mem_gb: 0.1 }),
      stack().shell('echo one; echo two >&2', { mem_gb: 0.1, split_log: true }),
    ]);
    expect([one.log, split.log]).toEqual([alternatingLines, 'one\n']);
    const errors = await stack().call('GET', `/jobs/${split.job_id}/log?stream=stderr`);
    expect(errors.text).toBe('two\n');
  });

  test('a job is held, released, given a higher priority, and cancelled', async () => {
    const first = await slow(stack(), { cpus: 8 });
    const { json: second } = await slow(stack(), { cpus: 8, priority: 700 });
    await stack().until(first.json.job_id, 'RUNNING');
    const show = async () =>
      (await stack().call<JobReply & { priority: number }>('GET', `/jobs/${second.job_id}`)).json;
    const act = (what: string, body?: object) =>
      stack().call('POST', `/jobs/${second.job_id}/${what}`, {
        ...(body && {
          body: JSON.stringify(body),
          headers: { 'Content-Type': 'application/json' },
        }),
      });
    const inSlurm = () =>
      cluster.command('squeue', '-h', '-j', String(second.slurm_job_id), '-O', 'Nice:12,Reason:20');
    expect(await inSlurm()).toMatch(/^700 /);
    expect((await act('hold')).status).toBe(200);
    expect(await inSlurm()).toMatch(/JobHeldUser/);
    await until('the job is held', async () => (await show()).reason === 'JobHeldUser');
    expect((await act('release')).status).toBe(200);
    expect(await inSlurm()).not.toMatch(/JobHeld/);
    expect((await act('cancel')).json.status).toBe('CANCELLED');
    tellToEnd(stack(), first.json.job_id);
    expect((await stack().finish(first.json.job_id)).status).toBe('COMPLETED');
    const cancelled = await slow(stack());
    await stack().until(cancelled.json.job_id, 'RUNNING');
    await stack().call('POST', `/jobs/${cancelled.json.job_id}/cancel`);
    const ended = await stack().finish(cancelled.json.job_id);
    expect(ended).toMatchObject({ status: 'CANCELLED', failure: 'cancelled' });
  });

  test('failures are distinguished: exit code, timeout, signal', async () => {
    const [failed, late, killed] = await Promise.all([
      stack().shell('exit 3'),
      stack().shell('sleep 60', { timeout: 0.5 }),
      stack().shell('kill -SEGV $$'),
    ]);
    expect(failed).toMatchObject({ status: 'FAILED', exit_code: 3, failure: 'user_code' });
    expect(late).toMatchObject({
      failure: 'time_limit',
      message: expect.stringMatching(/\b0\.5 s\b/),
    });
    expect(killed).toMatchObject({ status: 'FAILED', failure: 'user_code' });
  });

  test('other users’ jobs are neither shown nor touched, and our jobs are visible in the external cluster', async () => {
    const theirs = await cluster.command(
      ...['sbatch', '--parsable', '--uid=runner', '-p', 'all', '--mem=50', '-o', '/dev/null'],
      ...['--wrap', 'sleep 300'],
    );
    const { json: ours } = await slow(stack());
    await stack().until(ours.job_id, 'RUNNING');
    const { json } = await stack().call<{ jobs: JobReply[] }>('GET', '/jobs');
    expect(json.jobs.map((job) => job.slurm_job_id)).not.toContain(Number(theirs));
    tellToEnd(stack(), ours.job_id);
    await stack().finish(ours.job_id);
    expect(await cluster.command('squeue', '-h', '-j', theirs, '-o', '%T')).toMatch(
      /RUNNING|PENDING/,
    );
    await cluster.command('scancel', theirs);
  });
});

describe('whichever way', () => {
  const ways = () => Object.values(stacks);
  const stack = () => stacks['commands'] as LiveStack;

  test('a job’s dataset and template are read on the node', async () => {
    const form = new FormData();
    form.set('file', new Blob(['hello']), 'hello.txt');
    const { json: dataset } = await stack().call<{ sha256: string }>('POST', '/datasets/upload', {
      body: form,
    });
    const [job, read] = await Promise.all([
      stack().run({
        command_key: 'echo_params',
        dataset_sha: dataset.sha256,
        mem_gb: 0.2,
        params: { a: 'b' },
      }),
      stack().shell('cat "$JR_DATASET_FILE"', { dataset_sha: dataset.sha256 }),
    ]);
    expect(job).toMatchObject({ status: 'COMPLETED' });
    expect(read.log).toBe('hello');
  });

  test.each<[object, string, object?]>([
    [{ gpus: 0.5, partition: 'gpu' }, 'gpus'],
    [{ gpus: 3, partition: 'gpu' }, 'gpus', { asked: 3, limit: 2 }],
    [{ gpus: 1 }, 'gpus', { asked: 1, limit: 0 }],
    [{ time_limit: '3:00:00' }, 'time_limit', { limit: '0-02:00:00' }],
    [{ mem_gb: 3.5, partition: 'gpu' }, 'mem_gb', { asked: 3.5, limit: 2.92 }],
    [{ cpus: 9 }, 'cpus', { asked: 9, limit: 8 }],
    [{ partition: 'x' }, 'partition', { partitions: ['cpu', 'gpu', 'all', ...namesOfOurs] }],
    [{ cpus: 6, gpus: 1, partition: 'all' }, 'partition'],
    [{ screen: true }, 'screen'],
    [{ allowed_gpus: [0], gpus: 1, partition: 'gpu' }, 'allowed_gpus'],
  ])(
    'a request that the external cluster cannot fulfil is refused: %j',
    async (fields, field, details = {}) => {
      const { status, json } = await slow(stack(), fields);
      expect([status, json.error]).toEqual([422, refusal('unprocessable', field)]);
      expect(json.error.details).toMatchObject(details);
    },
  );

  test('partitions of the external cluster with our names are like any other', async () => {
    const follow = async (partition: string) => {
      const { json: job } = await slow(stack(), { partition, timeout: 60 });
      await stack().until(job.job_id, 'RUNNING');
      const id = String(job.slurm_job_id);
      const listed = await cluster.command('squeue', '-h', '-j', id, '-o', '%P %l %u');
      const { text: script } = await stack().call('GET', `/jobs/${job.job_id}/script`);
      const batch = await cluster.command('scontrol', 'write', 'batch_script', id, '-');
      expect(batch.trim()).toBe(script.trim());
      const requeued = await stack().call('POST', `/jobs/${job.job_id}/requeue`);
      const cancelled = await stack().call('POST', `/jobs/${job.job_id}/cancel`);
      return [listed, requeued.status, cancelled.status];
    };
    // Slurm's limit is two minutes above the timeout; a job for an SSH host would get the longest
    // limit.
    expect(await Promise.all(namesOfOurs.map(follow))).toEqual(
      namesOfOurs.map((name) => [`${name} 2:00 jobrunner`, 200, 200]),
    );
  });

  test('calls that would change the external cluster are refused with the reason', async () => {
    for (const path of ['/gpus/0/pause', '/nodes/c1/drain']) {
      const refused = await stack().call('POST', path);
      expect(refused).toMatchObject({ status: 501, json: { error: refusal('not_supported') } });
    }
    const body = JSON.stringify({ max_gpus: 1 });
    const headers = { 'Content-Type': 'application/json' };
    const limits = await stack().call('PUT', '/users/bob/limits', { body, headers });
    expect(limits).toMatchObject({
      status: 501,
      json: { error: refusal('not_supported', 'max_gpus') },
    });
  });

  test('while the external cluster’s slurmctld is away, jobs are accepted, and submitted once when it is back', async () => {
    await cluster.stop('slurmctld');
    const command = 'echo once >>n; cat n';
    const waiting = await Promise.all(
      ways().map((one) => one.submit({ command_key: 'shell', command })),
    );
    expect(waiting.map(({ status }) => status)).toEqual([202, 202]);
    await cluster.startController();
    const jobs = await Promise.all(
      ways().map((one, at) => one.finish(waiting[at]?.json.job_id ?? 0)),
    );
    const own = ways().map((one, at) => join(one.root, 'results', String(jobs[at]?.job_id)));
    for (const job of jobs) expect(job).toMatchObject({ status: 'COMPLETED', log: 'once\n' });
    const listed = await cluster.command('squeue', '-h', '-t', 'all', '-O', 'WorkDir:200');
    const folders = listed.split('\n').map((line) => line.trim());
    expect(folders.filter((folder) => own.includes(folder)).sort()).toEqual([...own].sort());
  });

  test('the ends of jobs during the API’s absence are found, though slurmctld has forgotten them and slurmdbd is away, too', async () => {
    const jobs = await Promise.all(
      ways().map(async (one) => {
        const started = [await slow(one), await slow(one)].map(({ json }) => json);
        for (const job of started) await one.until(job.job_id, 'RUNNING');
        const { json: waiting } = await slow(one, { cpus: 8 });
        return [...started, waiting];
      }),
    );
    await Promise.all(ways().map((one) => one.down()));
    await cluster.rememberFor(2);
    for (const [at, one] of ways().entries()) {
      const [, again, waiting] = (jobs[at] ?? []).map((job) => String(job.slurm_job_id));
      tellToEnd(one, jobs[at]?.[0]?.job_id ?? 0);
      // Accounting's list by time omits these two, which were not yet eligible.
      await cluster.command('scontrol', 'update', `JobId=${waiting}`, 'StartTime=now+1hour');
      await cluster.command('scontrol', 'update', `JobId=${again}`, 'Requeue=1');
      await cluster.command('scontrol', 'requeue', again ?? '');
      const state = () => cluster.command('squeue', '-h', '-j', again ?? '', '-o', '%T');
      await until('it is queued again', async () => (await state()) === 'PENDING');
      await cluster.command('scancel', waiting ?? '', again ?? '');
    }
    const numbers = jobs.flat().map((job) => String(job.slurm_job_id));
    await until('they are forgotten', async () => {
      const known = (await cluster.command('squeue', '-h', '-t', 'all', '-o', '%i')).split('\n');
      return !numbers.some((number) => known.includes(number));
    });
    await cluster.rememberFor(300);
    await cluster.stop('slurmdbd');
    await Promise.all(ways().map((one) => one.up()));
    for (const one of ways()) {
      const { status, json } = await one.call('GET', '/health');
      expect([status, json]).toMatchObject([200, { status: 'degraded', slurmdbd: 'down' }]);
      await until('a query to accounting has failed', () =>
        one.stderr.includes('slurmdbd does not'),
      );
    }
    await cluster.startAccounting();
    for (const [at, one] of ways().entries()) {
      const ids = (jobs[at] ?? []).map((job) => job.job_id);
      const found = await Promise.all(ids.map((id) => one.finish(id)));
      expect(found).toMatchObject([
        { status: 'COMPLETED', exit_code: 0 },
        { status: 'CANCELLED', failure: 'cancelled' },
        { status: 'CANCELLED', failure: 'cancelled' },
      ]);
    }
  });

  test('no token or other secret reaches a log, a process list or a job', async () => {
    const ran = await Promise.all(
      ways().map((one) => one.shell('env; tr "\\0" "\\n" </proc/$PPID/cmdline')),
    );
    const logs = ways().map((one) => one.stdout + one.stderr);
    const processes = execFileSync('ps', ['-eww', '-o', 'args'], { encoding: 'utf8' });
    for (const secret of [readFileSync(api.tokenFile, 'utf8').trim(), stack().token])
      for (const text of [...ran.map(({ log }) => log), ...logs, processes])
        expect(text).not.toContain(secret);
  });
});

test('nothing was written to the external cluster’s configuration', async () => {
  const conf = await readFile(cluster.slurmConf, 'utf8');
  expect(conf).not.toMatch(/jr-test-.*results|jobrunner:/);
  expect(await cluster.command('sacctmgr', '-nP', 'list', 'account', 'format=account')).not.toMatch(
    /jr-/,
  );
});
