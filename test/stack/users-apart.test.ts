import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readGroups } from '../../src/config/unix-users.js';
import { LiveStack } from './live-stack.js';
import { refusal } from '../refusal.js';
import { until } from '../until.js';

let stack: LiveStack;
let as: Record<string, { Authorization: string }>;
const unixUser: Record<string, string> = { admin: 'runner', alice: 'jr-job1', bob: 'jr-job2' };

beforeAll(async () => {
  stack = await LiveStack.start();
  as = {
    admin: { Authorization: `Bearer ${stack.token}` },
    alice: await stack.asUser('alice'),
    bob: await stack.asUser('bob'),
  };
  // The first user gets the first number.
  for (const user of ['alice', 'bob']) await run(user, 'true');
});
afterAll(async () => {
  await stack.remove();
});

async function submit(user: string, command: string, more: Record<string, unknown> = {}) {
  const fields = { command_key: 'shell', command, mem_gb: 0.1, ...more };
  const { status, json } = await stack.submit(fields, as[user]);
  if (status !== 201) throw new Error(`not accepted: ${JSON.stringify(json)}`);
  return json;
}

const run = async (user: string, command: string, more: Record<string, unknown> = {}) =>
  stack.finish((await submit(user, command, more)).job_id);

/** Runs a job of another user that tries to read, change and end a job whose log has `pid N`. */
async function trespass(intruder: string, owner: string, id: number): Promise<string> {
  const [, pid] = /pid (\d+)/.exec((await stack.call('GET', `/jobs/${id}/log`)).text) ?? [];
  const { root } = stack;
  const paths = [
    `${root}/results/${id}/weights.pth`,
    `${root}/logs/jobs/${id}/stdout.log`,
    `${root}/scripts/${id}/train.py`,
    `/proc/${pid}/environ`,
    `/proc/${pid}/cwd/weights.pth`,
    `/proc/${pid}/fd/1`,
  ];
  const { log, status } = await run(
    intruder,
    `exec 2>&1
     cat ${paths.join(' ')} && echo READ
     for path in ${paths.join(' ')} ${root}/results/${id}/new; do
       { echo lost >>$path; } 2>/dev/null && echo WROTE $path
     done
     rm -rf ${root}/results/${id} ${root}/logs/jobs/${id} && echo REMOVED
     ls ${root}/results ${root}/logs/jobs ${root}/scripts && echo LISTED
     ls ${root}/run/screen && echo SAW
     ls ${root}/run/screen/${unixUser[owner]} ~${unixUser[owner]} && echo SAW
     kill -KILL ${pid} && echo KILLED
     id -un; true`,
  );
  expect(status).toBe('COMPLETED');
  return log;
}

describe('the jobs of two users and of the owner', () => {
  const secret = 'hunter2-of-the-owner';
  // A number of seconds that no other run of this test sleeps: the machine's Unix users run jobs of
  // other stacks, too.
  const mark = 100_000 + process.pid;
  const script = `import os, subprocess, time
os.umask(0o077)
print("pid", os.getpid(), flush=True)
with open("weights.pth", "w") as file:
    print(os.environ["PASSWORD"], file=file)
print(os.environ["PASSWORD"], flush=True)
while not os.path.exists("stop"):
    time.sleep(0.1)
subprocess.Popen(["sleep", "${mark}"], start_new_session=True)
`;

  async function begin(user: string): Promise<number> {
    const body = new FormData();
    body.set('command_key', 'python_script');
    body.set('mem_gb', '0.1');
    body.set('env', JSON.stringify({ PASSWORD: secret }));
    body.set('script', new File([script], 'train.py'));
    const { status, json, text } = await stack.call('POST', '/jobs', {
      body,
      headers: as[user] ?? {},
    });
    if (status !== 201) throw new Error(text);
    await stack.says(json.job_id, secret);
    return json.job_id;
  }

  test.each([
    ['alice', 'bob', 'jr-job2'],
    ['alice', 'admin', 'runner'],
    ['admin', 'bob', 'jr-job2'],
  ])('%s’s job is closed to %s, who cannot read, change or end it', async (owner, intruder) => {
    const id = await begin(owner);
    const log = await trespass(intruder, owner, id);
    expect(log).not.toMatch(new RegExp(secret));
    expect(log).not.toMatch(/READ|WROTE|REMOVED|LISTED|SAW|KILLED/);
    expect(log.match(/denied|not permitted/g)?.length).toBeGreaterThan(10);
    expect(log).toMatch(new RegExp(`^${unixUser[intruder]}$`, 'm'));

    expect((await stack.call('GET', `/jobs/${id}`)).json.status).toBe('RUNNING');
    const again = await run(
      owner,
      `cat ${stack.root}/results/${id}/weights.pth >/dev/null
      touch ${stack.root}/results/${id}/stop`,
    );
    expect(again).toMatchObject({ status: 'COMPLETED', log: '' });
    expect(await stack.finish(id)).toMatchObject({ status: 'COMPLETED' });
    // Its leftover processes are gone, and its closed files can be downloaded and removed.
    const left = await run(owner, `pgrep -u $USER -fx "sleep ${mark}" || echo none`);
    expect(left.log).toBe('none\n');
    const path = `/outputs/download_by_job?job_id=${id}&rel_path=weights.pth`;
    const own = as[owner] ?? {};
    expect((await stack.call('GET', path, { headers: own })).text).toBe(`${secret}\n`);
    expect((await trespass(intruder, owner, id)).replaceAll(/^.*denied$/gm, '')).not.toMatch(
      /hunter2|READ|WROTE|REMOVED/,
    );
    expect((await stack.call('DELETE', `/jobs/${id}`, { headers: own })).status).toBe(204);
  });

  test('a job can be deleted whose folders a later job of its user has closed', async () => {
    const { job_id: id } = await run('alice', 'mkdir -p a/b/c; touch a/b/c/file');
    const later = await run(
      'alice',
      `cd ${stack.root}/results/${id}; chmod 0 a/b/c; chmod 1500 a/b; chmod 0 a`,
    );
    expect(later).toMatchObject({ status: 'COMPLETED' });
    const { status, text } = await stack.call('DELETE', `/jobs/${id}`, {
      headers: as['alice'] ?? {},
    });
    expect([status, text]).toEqual([204, '']);
    expect(existsSync(`${stack.root}/results/${id}`)).toBe(false);
  });

  test('a user’s job cannot delay the epilog of another job of theirs', async () => {
    const { job_id: watcher } = await submit(
      'alice',
      `echo ready
       while :; do pkill -STOP -f '/results/[0-9]+( |$)'; done 2>&1`,
    );
    await stack.says(watcher, 'ready');
    // So many files that opening them to the group takes long enough.
    const closed = () => run('alice', 'umask 077; mkdir new; touch new/{1..20000}');
    const tried = async () => (await stack.call('GET', `/jobs/${watcher}/log`)).text;
    // On a busy machine the epilog may end before the watcher has seen it.
    const job = await until('the watcher has seen an epilog', async (saw) => {
      const ended = await closed();
      const told = await tried();
      saw(told);
      return told.includes('not permitted') && ended;
    });
    expect(job.status).toBe('COMPLETED');
    await stack.call('POST', `/jobs/${watcher}/cancel`);
    await stack.until(watcher, 'CANCELLED');
    const folder = join(stack.root, 'results', String(job.job_id), 'new');
    expect(statSync(folder).mode & 0o777).toBe(0o770);
    expect(statSync(join(folder, '20000')).mode & 0o777).toBe(0o660);
  });

  test('all can read datasets, each has a home, and none is in the group of Slurm’s callers', async () => {
    const content = Buffer.from('data');
    const sha256 = createHash('sha256').update(content).digest('hex');
    const body = new FormData();
    body.set('file', new File([content], 'words.txt'));
    expect((await stack.call('POST', '/datasets/upload', { body })).status).toBe(201);
    for (const [user, name] of Object.entries(unixUser)) {
      const job = await run(
        user,
        `cat $JR_DATASET_DIR/*; echo; ! echo >$JR_DATASET_DIR/new; id -un; id -Gn
         [ "$USER $LOGNAME" = "${name} ${name}" ] && touch ~/.mine && stat -c '%U %a' ~`,
        { dataset_sha: sha256, split_log: true },
      );
      const groups = name === 'runner' ? 'jr-owner runner' : `${name} runner`;
      expect(job.log).toBe(`data\n${name}\n${groups}\n${name} 700\n`);
    }
  });

  test('the list of users shows their Unix users', async () => {
    const { json } = await stack.call<{ users: { user: string; unix_user: string | null }[] }>(
      'GET',
      '/users',
    );
    const runsAs = Object.fromEntries(json.users.map((one) => [one.user, one.unix_user]));
    expect(runsAs).toMatchObject(unixUser);
  });

  test('a screen session belongs to its user', async () => {
    const { job_id: id } = await submit('alice', 'echo here; sleep 600', { screen: true });
    await stack.says(id, 'here');
    await stack.until(id, 'RUNNING');
    const { json } = await stack.call<{ screens: { unix_user: string; name: string }[] }>(
      'GET',
      '/screens',
    );
    expect(json.screens).toMatchObject([{ unix_user: 'jr-job1', name: `gpujob_cpu_shell_${id}` }]);
    const list = (user: string, folder: string) =>
      `SCREENDIR=${stack.root}/run/screen/${folder} screen -ls 2>&1 | grep -c gpujob_cpu_shell_${id}; id -un | grep -c ${user}`;
    expect((await run('alice', list('jr-job1', 'jr-job1'))).log).toBe('1\n1\n');
    expect((await run('bob', list('jr-job2', 'jr-job1'))).log).toBe('0\n1\n');
    await stack.call('POST', `/jobs/${id}/cancel`);
    await stack.until(id, 'CANCELLED');
  });
});

describe('Unix users', () => {
  test('are permanent, and files from a time with one shared Unix user belong to the owner', async () => {
    const { job_id: old } = await run('admin', 'echo old >model.pth');
    const { job_id: young } = await run('alice', 'echo young >model.pth');
    expect(await stack.down()).toBe(0);
    const shared = readGroups().get('runner') ?? -1;
    const folders = ['results', 'logs/jobs', 'scripts'].map((name) => join(stack.root, name));
    for (const folder of folders) chmodSync(folder, 0o2750);
    const left = join(stack.root, 'results', String(old));
    chownSync(left, statSync(left).uid, shared);
    const remote = readGroups().get('jr-remote') ?? -1;
    const ofSshHost = join(stack.root, 'results', '999');
    mkdirSync(ofSshHost);
    chownSync(ofSshHost, statSync(left).uid, remote);
    execFileSync('ln', ['-s', '/etc', join(stack.root, 'results', 'link')]);
    const etc = statSync('/etc').gid;

    await stack.up();
    for (const folder of folders) expect(statSync(folder).mode & 0o7777).toBe(0o710);
    expect(lstatSync(left).gid).toBe(readGroups().get('jr-owner'));
    expect(statSync(ofSshHost).gid).toBe(remote);
    expect(statSync('/etc').gid).toBe(etc);
    const read = (id: number) => `cat ${stack.root}/results/${id}/model.pth 2>&1; id -un`;
    expect((await run('admin', read(old))).log).toBe('old\nrunner\n');
    expect((await run('bob', read(old))).log).toMatch(/denied\njr-job2\n/);
    expect((await run('bob', read(young))).log).toMatch(/jr-job2\n/);
  });

  test('that are all in use cause an error with the remedy, and nothing is left of the job', async () => {
    execFileSync('python3', [
      '-c',
      'import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=30); db.execute("INSERT INTO job_users VALUES (\'last\', 998)"); db.commit()',
      join(stack.root, 'db', 'jr_slurm.db'),
    ]);
    const carol = await stack.asUser('carol');
    const refused = await stack.submit({ command_key: 'shell', command: 'true' }, carol);
    expect(refused).toMatchObject({ status: 422, json: { error: refusal('unprocessable') } });
    expect(refused.json.error.details).toEqual({ limit: 'JR_JOB_USERS', max: 998 });
    const { json } = await stack.call<{ jobs: unknown[] }>('GET', '/jobs', { headers: carol });
    expect(json.jobs).toEqual([]);
    expect((await run('bob', 'echo still')).log).toBe('still\n');
  });
});
