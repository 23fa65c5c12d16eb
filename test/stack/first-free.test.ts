import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { SshWorld } from '../remote/ssh-servers.js';
import { LiveStack, type JobReply } from './live-stack.js';
import { refusal } from '../refusal.js';
import { until } from '../until.js';

interface PlacedJob extends JobReply {
  node: string | null;
  log: string;
}

let world: SshWorld;
let stack: LiveStack;

beforeAll(async () => {
  world = await SshWorld.start();
  const nodesFile = join(world.folder, 'nodes.yaml');
  const { jump, targets, machines, key } = world;
  const { name, address, user } = targets[0];
  const defaults = {
    identity_file: key,
    proxy_jump: `${jump.user}@${jump.address}`,
    known_hosts: machines.map((machine) => machine.knownHost).join('\n'),
  };
  const gpus = { count: 2, type: 'H100', memory_gb: 640 };
  targets[0].setNvidiaSmi(Array.from({ length: 2 }, () => `${640 * 1024}, NVIDIA H100`));
  const hosts = [{ name, host: address, user, gpus, cpus: 4, memory_gb: 16 }];
  writeFileSync(nodesFile, stringify({ defaults, hosts }));
  stack = await LiveStack.start({ JR_SSH_NODES: nodesFile, JR_SSH_WATCH_INTERVAL: '1' });
});

afterAll(async () => {
  await stack.remove();
  await world.close();
});

interface NodesReply {
  nodes: { name: string; state: string }[];
}

/** Keeps new jobs off all nodes except these. */
async function openOnly(...open: string[]): Promise<void> {
  for (const name of ['box0', 'gpu-0']) {
    const act = open.includes(name) ? 'resume' : 'drain';
    await stack.call('POST', `/nodes/${name}/${act}`);
    await until(`${name} is not ${act}ed`, async () => {
      const { json } = await stack.call<NodesReply>('GET', '/nodes');
      const state = json.nodes.find((node) => node.name === name)?.state ?? '';
      return /drain/i.test(state) === (act === 'drain');
    });
  }
}

const fields = { command_key: 'shell', partition: 'any', mem_gb: 0.2 };
const run = (command: string, more: object = {}) =>
  stack.shell(command, { ...fields, ...more }) as Promise<PlacedJob>;

async function begin(command: string, more: object = {}): Promise<number> {
  const { json } = await stack.submit({ ...fields, command, ...more });
  await stack.says(json.job_id, 'begun');
  return json.job_id;
}

test('a job for any target runs here as runner, like any other job, and reaches nothing of jr-remote’s', async () => {
  await openOnly('box0');
  const job = await run(
    `id -un; id -Gn; pwd; echo $CUDA_VISIBLE_DEVICES; ls /proc/self/fd | wc -l; read line || echo no input
     echo weights >out.pt; echo wrong >&2
     cat ${stack.root}/remote/keys/* && echo key
     for other in $(pgrep -U jr-remote,0); do
       cat /proc/$other/environ /proc/$other/mem && echo read
       kill -0 $other && echo signalled
     done
     sudo -n -u jr-remote true && echo jr-remote
     echo anew >>/dev/stderr
     ln -s /etc/passwd ${stack.root}/logs/jobs/$JR_JOB_ID/link && echo linked
     exit 3`,
    { gpus: 2, split_log: true },
  );
  expect(job).toMatchObject({ status: 'FAILED', exit_code: 3, node: 'box0' });
  const [user, groups, folder, gpus, files, ...rest] = job.log.trim().split('\n');
  expect([user, groups, folder, gpus]).toEqual([
    'runner',
    'jr-owner runner',
    join(stack.root, 'results', String(job.job_id)),
    '0,1',
  ]);
  // Its own three descriptors, and the one with which ls reads the folder.
  expect(Number(files)).toBeLessThanOrEqual(4);
  expect(rest).toEqual(['no input']);
  const errors = await stack.call('GET', `/jobs/${job.job_id}/log?stream=stderr`);
  expect(errors.text).toMatch(/^wrong$/m);
  expect(errors.text).toMatch(/^anew$/m);
  const output = `/outputs/download_by_job?job_id=${job.job_id}&rel_path=out.pt`;
  expect((await stack.call('GET', output)).text).toBe('weights\n');
  const { uid } = statSync(join(stack.root, 'results', String(job.job_id), 'out.pt'));
  const passwd = readFileSync('/etc/passwd', 'utf8');
  expect(passwd).toMatch(new RegExp(`^runner:[^:]*:${uid}:`, 'm'));
  const script = await stack.call('GET', `/jobs/${job.job_id}/script`);
  expect(script.text).toContain(`JR_OUTPUT_DIR='${stack.root}/results/${job.job_id}'`);
  expect((await stack.call('DELETE', `/jobs/${job.job_id}`)).status).toBe(204);
});

test('a job for any target runs on an SSH host when this machine has no room, with that host’s script', async () => {
  await openOnly('gpu-0');
  const job = await run('id -un; echo weights >out.pt; echo $CUDA_VISIBLE_DEVICES', { gpus: 1 });
  const { user, home } = world.targets[0];
  expect(job).toMatchObject({ status: 'COMPLETED', node: 'gpu-0' });
  expect(job.log).toMatch(new RegExp(`^${user}\n[01]\n$`));
  const output = `/outputs/download_by_job?job_id=${job.job_id}&rel_path=out.pt`;
  expect((await stack.call('GET', output)).text).toBe('weights\n');
  const { text: script } = await stack.call('GET', `/jobs/${job.job_id}/script`);
  expect(script).toContain(`JR_OUTPUT_DIR='${home}/jobrunner/jobs/`);
  expect(script).not.toContain(stack.root);
  expect((await stack.call('DELETE', `/jobs/${job.job_id}`)).status).toBe(204);
});

test('a user’s job runs here as that user, and no other user can read its files, from here or from a host', async () => {
  const alice = await stack.asUser('alice');
  for (const node of ['box0', 'gpu-0']) {
    await openOnly(node);
    const command = `id -un; echo wrong >&2; umask 077; echo weights >out.pt`;
    const job = await stack.run({ ...fields, command, split_log: true }, alice);
    const { job_id: id } = job;
    expect(job).toMatchObject({ status: 'COMPLETED', node });
    if (node === 'box0') expect(job.log).toBe('jr-job1\n');
    const asked = { headers: alice };
    const errors = await stack.call('GET', `/jobs/${id}/log?stream=stderr`, asked);
    expect(errors.text).toBe('wrong\n');
    const output = `/outputs/download_by_job?job_id=${id}&rel_path=out.pt`;
    expect((await stack.call('GET', output, asked)).text).toBe('weights\n');

    await openOnly('box0');
    const [results, logs] = [`${stack.root}/results/${id}`, `${stack.root}/logs/jobs/${id}`];
    const paths = `${results}/out.pt ${logs}/stdout.log ${logs}/stderr.log`;
    const look = `cat ${paths}; { echo more >>${logs}/stderr.log; } || ls ${results} ${logs} || echo nothing`;
    const other = await run(look, { split_log: true });
    expect(other.log).toBe('nothing\n');
    expect((await stack.call('DELETE', `/jobs/${id}`, asked)).status).toBe(204);
  }
});

test('a waiting job is one Slurm job, which starts on the first free target', async () => {
  await openOnly();
  const { json } = await stack.submit({ ...fields, command: 'echo "$SLURM_JOB_PARTITION"' });
  const waiting = await stack.call('GET', `/jobs/${json.job_id}/script`);
  expect(waiting.text).toContain('# No SSH host has this job yet.');
  expect((await stack.call('GET', `/jobs/${json.job_id}`)).json.status).toBe('PENDING');
  await openOnly('box0');
  expect(await stack.finish(json.job_id)).toMatchObject({
    status: 'COMPLETED',
    slurm_job_id: json.slurm_job_id,
    log: 'main\n',
  });
});

test('a job does not run if the API has put a link to a file of jr-remote’s in place of its log', async () => {
  const own = join(stack.root, 'remote/state/x.conf');
  writeFileSync(own, '# own\n');
  execFileSync('chown', ['jr-remote:', own]);
  for (const [node, name] of [
    ['box0', 'stdout.log'],
    ['gpu-0', 'stderr.log'],
  ] as const) {
    await openOnly();
    const command = 'echo Host; echo Host >&2; touch ran';
    const { json } = await stack.submit({ ...fields, command, split_log: true });
    symlinkSync(own, join(stack.root, 'logs/jobs', String(json.job_id), name));
    await openOnly(node);
    expect(await stack.finish(json.job_id)).toMatchObject({ status: 'FAILED' });
    expect(existsSync(join(stack.root, 'results', String(json.job_id), 'ran'))).toBe(false);
  }
  expect(readFileSync(own, 'utf8')).toBe('# own\n');
});

test('a cancelled job ends here with all its processes, even if it ignores SIGTERM', async () => {
  await openOnly('box0');
  // A number of seconds that no other run of this test sleeps.
  const mark = 100_000 + process.pid;
  const id = await begin(
    `trap "" TERM; setsid sleep ${mark} & echo begun; while :; do sleep 1; done; wait`,
  );
  const again = await stack.call('POST', `/jobs/${id}/requeue`);
  expect(again).toMatchObject({
    status: 409,
    json: { error: refusal('conflict', 'partition') },
  });
  await stack.call('POST', `/jobs/${id}/cancel`);
  expect(await stack.finish(id)).toMatchObject({ status: 'CANCELLED', failure: 'cancelled' });
  const left = await stack.shell(`pgrep -fx "sleep ${mark}" || echo none`);
  expect(left.log).toBe('none\n');
});

test('a job keeps to its memory limit here', async () => {
  await openOnly('box0');
  const hog = 'echo begun; x=$(head -c 600M /dev/zero | tr "\\0" x); sleep 60';
  expect(await run(hog)).toMatchObject({ failure: 'out_of_memory', node: 'box0' });
});

test('a job that fits only one target is sent there', async () => {
  await openOnly('box0', 'gpu-0');
  const [large, session] = await Promise.all([
    run('true', { gpu_mem_gb: 500 }),
    run('true', { screen: true }),
  ]);
  expect([large.node, session.node]).toEqual(['gpu-0', 'box0']);
  const refused = await stack.submit({ ...fields, command: 'true', gpus: 3 });
  expect(refused).toMatchObject({ status: 422, json: { error: refusal('unprocessable', 'gpus') } });
  expect(refused.json.error.details).toMatchObject({ asked: 3, limit: 2 });
});
