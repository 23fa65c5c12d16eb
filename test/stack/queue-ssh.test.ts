import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { timedOutLine } from '../../src/jobs/script/timeout.js';
import { SshWorld } from '../remote/ssh-servers.js';
import { LiveStack } from './live-stack.js';
import { until } from '../until.js';

/*
 * The queue server's purpose: scripts on GPU hosts behind a jump host. Bash runs its quick start
 * line by line; only host, port, the placeholder for a job number and the name of the token manager
 * differ.
 */

interface QueueReply {
  job_id: string;
  node_id: number | null;
  status: string;
  queue_position: number | null;
  stdout: string;
  stderr: string;
  exit_code: number | null;
  failure: string | null;
  jobs: QueueReply[];
  nodes: { node_id: number; name: string; partition: string; running_jobs: number }[];
}

const bash = promisify(execFile);
const mainJs = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

let world: SshWorld;
let stack: LiveStack;
let folder: string;

beforeAll(async () => {
  world = await SshWorld.start();
  folder = join(world.folder, 'client');
  mkdirSync(folder);
  const nodesFile = join(world.folder, 'nodes.yaml');
  const { address, user } = world.jump;
  const defaults = {
    identity_file: world.key,
    proxy_jump: `${user}@${address}`,
    known_hosts: world.machines.map((machine) => machine.knownHost).join('\n'),
    gpus: { count: 1, type: 'H100', memory_gb: 80 },
    cpus: 4,
    memory_gb: 16,
  };
  const hosts = world.targets.map((target) => ({
    name: target.name,
    host: target.address,
    user: target.user,
  }));
  writeFileSync(nodesFile, stringify({ defaults, hosts }));
  stack = await LiveStack.start({
    JR_SSH_NODES: nodesFile,
    JR_SSH_WATCH_INTERVAL: '1',
    // As on the queue server, everyone who reaches the server can read.
    JR_PUBLIC_STATUS: '1',
  });
});
afterAll(async () => {
  await stack.remove();
  await world.close();
});

async function typeText(line: string, uuid = ''): Promise<string> {
  const here = line
    .replace('http://localhost:8000', stack.url)
    .replaceAll('abc-123-uuid', uuid)
    .replace('python3 token_manager.py', `${process.execPath} ${mainJs} token`);
  const { JR_ROOT = '', JR_PORT = '' } = stack.env;
  const env = { PATH: process.env['PATH'] ?? '', JR_ROOT, JR_PORT };
  return (await bash('bash', ['-c', here], { cwd: folder, env })).stdout;
}
const type = async (line: string, uuid?: string) =>
  JSON.parse(await typeText(line, uuid)) as QueueReply;

const write = (code: string, expected = 10) => {
  writeFileSync(join(folder, 'my_script.py'), code);
  writeFileSync(
    join(folder, 'config.yaml'),
    `competition_id: "comp123"
project_id: "proj456"
user_id: "myuser"
expected_time: ${expected}  # seconds
token: "my-secret-token"
`,
  );
};
const submit = () =>
  type(`curl -X POST http://localhost:8000/api/submit \\
  -F "code=@my_script.py" \\
  -F "config_file=@config.yaml"`);
const cancel = (uuid: string) =>
  type(
    `curl -X POST http://localhost:8000/api/cancel/abc-123-uuid \\
  -H "Authorization: Bearer my-secret-token"`,
    uuid,
  );
const status = (uuid: string) => type('curl http://localhost:8000/api/status/abc-123-uuid', uuid);
const results = (uuid: string) => type('curl http://localhost:8000/api/results/abc-123-uuid', uuid);

async function becomes(uuid: string, ...states: string[]): Promise<QueueReply> {
  return until(`job ${uuid} is ${states.join(' or ')}`, async (saw) => {
    const job = await status(uuid);
    saw(job);
    return states.includes(job.status) && job;
  });
}
const hasEnded = ['completed', 'failed', 'cancelled'];

test('the quick start, on two hosts behind a jump host', async () => {
  const made = await typeText('python3 token_manager.py create myuser "my-secret-token" --days 30');
  expect(made).toContain('my-secret-token');
  write(`import time
print("Hello from GPU!")
time.sleep(5)
print("Job complete!")
`);
  const submitted = await submit();
  expect(submitted).toMatchObject({ queue_position: 0 });
  const { job_id: uuid } = submitted;
  const done = await becomes(uuid, ...hasEnded);
  expect(done).toMatchObject({ job_id: uuid, status: 'completed' });
  expect([1, 2]).toContain(done.node_id);
  expect(await results(uuid)).toMatchObject({
    job_id: uuid,
    status: 'completed',
    stdout: 'Hello from GPU!\nJob complete!\n',
    stderr: '',
    exit_code: 0,
  });
  const { nodes } = await type('curl http://localhost:8000/api/nodes');
  expect(nodes.map(({ node_id, name }) => [node_id, name])).toEqual([
    [0, 'box0'],
    [1, 'gpu-0'],
    [2, 'gpu-1'],
  ]);
  const found = async (query: string) =>
    (await type(`curl http://localhost:8000/api/jobs${query}`)).jobs.some(
      (job) => job.job_id === uuid,
    );
  expect(await found('')).toBe(true);
  expect(await found('?user_id=myuser')).toBe(true);
  expect(await found('?status=running')).toBe(false);
  expect(await typeText('python3 token_manager.py list')).toMatch(/myuser/);
});

test('jobs spread over the hosts, one for each GPU; the others wait in order, and any can be cancelled', async () => {
  write('import time; print("up"); time.sleep(1000)', 600);
  const uuids: string[] = [];
  for (let i = 0; i < 4; i++) uuids.push((await submit()).job_id);
  const [first = '', second = '', third = '', fourth = ''] = uuids;
  const running = [await becomes(first, 'running'), await becomes(second, 'running')];
  expect(running.map((job) => job.node_id).sort()).toEqual([1, 2]);
  expect(await status(third)).toMatchObject({
    status: 'pending',
    queue_position: 0,
    node_id: null,
  });
  expect(await status(fourth)).toMatchObject({ status: 'pending', queue_position: 1 });
  expect(await cancel(fourth)).toMatchObject({ status: 'cancelled', exit_code: null });
  expect(await cancel(first)).toMatchObject({ status: 'cancelled' });
  expect(await becomes(third, 'running')).toMatchObject({ node_id: running[0]?.node_id });
  expect(await cancel(second)).toMatchObject({ status: 'cancelled' });
  expect(await cancel(third)).toMatchObject({ status: 'cancelled' });
});

test('a job above its time is killed there with its processes, and its two streams stay separate', async () => {
  // A number of seconds that no other run of this test sleeps.
  const mark = 100_000 + process.pid;
  write(
    `import subprocess, sys, time
subprocess.Popen(["sleep", "${mark}"]); print("out"); print("err", file=sys.stderr)
time.sleep(1000)
`,
    4,
  );
  const { job_id: uuid } = await submit();
  await becomes(uuid, ...hasEnded);
  const job = await results(uuid);
  expect(job).toMatchObject({
    status: 'failed',
    failure: 'time_limit',
    exit_code: 124,
    stdout: 'out\n',
  });
  expect(job.stderr).toMatch(new RegExp(`^err\\n(.*\\n)?${timedOutLine(8)}\\n$`));
  const left = await bash('pgrep', ['-fx', `sleep ${mark}`]).catch(
    (error: { stdout: string }) => error,
  );
  expect(left.stdout).toBe('');
});
