import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { SshWorld, twoGpus, type Machine } from '../remote/ssh-servers.js';
import { LiveStack, type JobReply } from './live-stack.js';
import { refusal } from '../refusal.js';
import { until } from '../until.js';

interface NodeReply {
  name: string;
  state: string;
  partition: string;
  cpus: number;
  reason: string | null;
  ssh: { labels: object; leaving: boolean; reachable: boolean | null } | null;
}
interface NodesReply {
  nodes: NodeReply[];
  hosts_file_problem: string | null;
}
interface PlacedJob extends JobReply {
  node: string | null;
  gpu_indices: number[] | null;
}

const mainJs = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

let world: SshWorld;
let stack: LiveStack;
let nodesFile: string;

beforeAll(async () => {
  world = await SshWorld.start();
  nodesFile = join(world.folder, 'nodes.yaml');
  writeHosts([hostOf(world.targets[0], { labels: { rack: 'a' } })]);
  stack = await LiveStack.start({
    JR_SSH_NODES: nodesFile,
    JR_SSH_WATCH_INTERVAL: '1',
    JR_SSH_ALIVE_INTERVAL: '1',
  });
});

afterAll(async () => {
  await stack.remove();
  await world.close();
});

const hostOf = ({ name, address, user }: Machine, more: object = {}) => ({
  name,
  host: address,
  user,
  gpus: { count: 2, type: 'H100', memory_gb: 80 },
  cpus: 4,
  memory_gb: 16,
  ...more,
});

function writeHosts(hosts: object[]): void {
  const known = world.machines.map((machine) => machine.knownHost).join('\n');
  const { address, user } = world.jump;
  const defaults = {
    identity_file: world.key,
    proxy_jump: `${user}@${address}`,
    known_hosts: known,
  };
  writeFileSync(nodesFile, stringify({ defaults, hosts }));
}

/** Undefined while slurmctld adds or removes nodes. */
const nodes = async () => {
  const path = '/nodes';
  const { status, json } = await stack.call<NodesReply>('GET', path);
  return status === 200 ? json : undefined;
};
const node = async (name: string) => (await nodes())?.nodes.find((one) => one.name === name);
const isGone = async (name: string) => {
  const there = await nodes();
  return there !== undefined && !there.nodes.some((one) => one.name === name);
};
const onSsh = (command: string, more: object = {}) =>
  stack.shell(command, { partition: 'ssh', ...more }) as Promise<PlacedJob & { log: string }>;

/** Submits a job that reports its begin. @returns its number */
async function begin(command: string, more: object = {}): Promise<number> {
  const fields = { command_key: 'shell', command, mem_gb: 0.2, partition: 'ssh', ...more };
  const { json } = await stack.submit(fields);
  await stack.says(json.job_id, 'begun');
  return json.job_id;
}

describe('a job of the partition ssh', () => {
  test('runs on the host, and returns its log, outputs and exit code', async () => {
    const job = await onSsh('whoami; echo weights >out.pt; echo $CUDA_VISIBLE_DEVICES; exit 3', {
      gpus: 2,
    });
    expect(job).toMatchObject({
      status: 'FAILED',
      exit_code: 3,
      node: 'gpu-0',
      gpu_indices: [0, 1],
      log: `${world.targets[0].user}\n0,1\n`,
    });
    const output = await stack.call(
      'GET',
      `/outputs/download_by_job?job_id=${job.job_id}&rel_path=out.pt`,
    );
    expect(output.text).toBe('weights\n');
    const removed = await stack.call('DELETE', `/jobs/${job.job_id}`);
    expect(removed.status).toBe(204);
    expect(existsSync(join(stack.root, 'results', String(job.job_id)))).toBe(false);
    expect(existsSync(join(stack.root, 'remote/jobs', String(job.job_id)))).toBe(false);
  });

  test('gets its dataset there, and may request more than this machine has', async () => {
    const content = 'training text\n';
    const sha = createHash('sha256').update(content).digest('hex');
    await stack.call('PUT', `/datasets/${sha}`, { body: content });
    const job = await onSsh('cat "$JR_DATASET_DIR"/*; hostname >/dev/null', {
      dataset_sha: sha,
      mem_gb: 16,
      cpus: 4,
    });
    expect([job.status, job.log]).toEqual(['COMPLETED', expect.stringContaining(`\n${content}`)]);
  });

  test('whose host fails does not count as failed itself, and a job cannot blame its host', async () => {
    const id = await begin('echo begun; sleep 600');
    world.targets[0].killAll();
    expect(await stack.finish(id)).toMatchObject({
      failure: 'node',
      message: expect.stringMatching(/^SSH host gpu-0: .*killed/),
    });
    const liar = 'echo "jobrunner: SSH host gpu-0: was started anew" >&2; exit 75';
    expect(await onSsh(liar)).toMatchObject({ exit_code: 75, failure: 'user_code' });
    // A job that runs here may write beside its log.
    const file = join(stack.root, 'logs/jobs/$JR_JOB_ID/host-failure.txt');
    const here = await stack.shell(
      `echo "SSH host gpu-0: is gone" >"${file}"; cat "${file}"; exit 75`,
    );
    expect(here).toMatchObject({
      exit_code: 75,
      failure: 'user_code',
      log: 'SSH host gpu-0: is gone\n',
    });
  });

  test('ends there when it is cancelled', async () => {
    const id = await begin('echo begun; sleep 600');
    await stack.call('POST', `/jobs/${id}/cancel`);
    expect(await stack.finish(id)).toMatchObject({ status: 'CANCELLED', failure: 'cancelled' });
    await until('nothing of it runs there', () => runsNothing(world.targets[0]));
  });

  test('can be requeued, and runs anew', async () => {
    const id = await begin('echo begun $SLURM_RESTART_COUNT; [ -e "$HOME/again" ] || sleep 600');
    writeFileSync(join(world.targets[0].home, 'again'), '');
    await stack.call('POST', `/jobs/${id}/requeue`);
    // Slurm first lets its old credential expire.
    const { json } = await stack.call('GET', `/jobs/${id}?wait=300`);
    expect(json).toMatchObject({ status: 'COMPLETED' });
  }, 360_000);

  test.each([
    [{ partition: 'nowhere' }, 'partition', { partitions: ['main', 'ssh', 'any'] }],
    [{ partition: 'ssh', cpus: 5 }, 'cpus', { asked: 5, limit: 4 }],
    [{ partition: 'ssh', gpus: 3 }, 'gpus', { asked: 3, limit: 2 }],
    [{ partition: 'ssh', gpu_mem_gb: 81 }, 'gpu_mem_gb', {}],
    [{ partition: 'ssh', screen: true }, 'screen', {}],
  ])('that requests %j is refused', async (fields, field, details) => {
    const reply = await stack.submit({ command_key: 'shell', command: 'true', ...fields });
    expect(reply).toMatchObject({
      status: 422,
      json: { error: refusal('unprocessable', field) },
    });
    expect(reply.json.error.details).toMatchObject(details);
  });

  test('has its script shown, and supports a dry run', async () => {
    const fields = { command_key: 'shell', command: 'true', partition: 'ssh', dry_run: true };
    const { status, text } = await stack.submit(fields);
    expect([status, text]).toEqual([200, expect.stringContaining('"dry_run":true')]);
  });
});

describe('separation', () => {
  const as = (user: string, ...command: string[]) =>
    spawnSync('setpriv', [`--reuid=${user}`, `--regid=${user}`, '--init-groups', ...command], {
      env: {
        PATH: '/usr/bin:/bin',
        SLURM_CONF: join(stack.root, 'slurm/etc/slurm.conf'),
      },
      encoding: 'utf8',
    });

  test('neither jobs nor the API can read a key, and no password or key is anywhere else', () => {
    const key = join(stack.root, 'remote/keys/gpu-0.0.key');
    expect(as('jr-remote', 'cat', key).stdout).toBe(readFileSync(world.key, 'utf8'));
    for (const user of ['runner', 'jobrunner']) {
      expect(as(user, 'cat', key).stderr).toContain('Permission denied');
      expect(as(user, 'ls', join(stack.root, 'remote/keys')).stderr).toContain('Permission denied');
    }
    expect(as('runner', 'cat', join(stack.root, 'remote/hosts.json')).stderr).toContain('denied');
  });

  test('a job cannot submit to the partition, and the API can submit only our own program', () => {
    const own = as('runner', 'sbatch', '--partition=ssh', '--mem=1M', '--wrap=id');
    // nftables refuses the connection before munge refuses its credential.
    expect(own.stderr).toMatch(/munge.*denied|connect failure/i);
    const sudo = (...args: string[]) =>
      as('jobrunner', 'sudo', '-n', '-u', 'jr-remote', ...args).stderr;
    expect(sudo('id')).toMatch(/password|not allowed/);
    const submit = '/usr/local/lib/jobrunner/submit-remote';
    for (const option of ['--wrap=id', '--partition=workers', '--export=LD_PRELOAD=x', '--uid=0'])
      expect(sudo(submit, 'runner', '1', option)).toMatch(/not one of the options/);
    expect(sudo(submit, 'runner', '../1')).toMatch(/expected the number of a job/);
    expect(sudo(submit, 'jobrunner', '1')).toMatch(/not a user that jobs run as/);
  });

  test('any slurm.conf except root’s is refused', () => {
    const wrong = spawnSync('/usr/local/lib/jobrunner/submit-remote', ['1'], {
      env: { PATH: '/usr/bin:/bin', SLURM_CONF: nodesFile },
      encoding: 'utf8',
    });
    expect([wrong.status, wrong.stderr]).toEqual([2, expect.stringMatching(/SLURM_CONF/)]);
  });
});

describe('jobrunner node', () => {
  const cliWith = (file: string, ...args: string[]) => {
    const { JR_ROOT = '', JR_PORT = '' } = stack.env;
    const env = { PATH: process.env['PATH'] ?? '', JR_ROOT, JR_PORT, JR_SSH_NODES: file };
    const ended = spawnSync(process.execPath, [mainJs, 'node', ...args], { env, encoding: 'utf8' });
    return { code: ended.status, out: ended.stdout, err: ended.stderr };
  };
  const cli = (...args: string[]) => cliWith(nodesFile, ...args);
  const add = (file: string, ...more: string[]) => {
    const { jump, targets, key } = world;
    const where = `${targets[1].user}@${targets[1].address}`;
    const way = ['--jump', `${jump.user}@${jump.address}`, '--identity', key];
    return cliWith(file, 'add', 'added', where, ...way, ...more);
  };
  const fingerprintOf = (machine: Machine) =>
    /SHA256:\S+/.exec(
      spawnSync('ssh-keygen', ['-l', '-f', '-'], {
        input: `${machine.knownHost}\n`,
        encoding: 'utf8',
      }).stdout,
    )?.[0] ?? '';

  test('list shows the hosts, and drain and resume work by name', async () => {
    expect(cli('list').out).toMatch(/^gpu-0 +ssh +idle .* rack=a/m);
    expect(cli('drain', 'gpu-0')).toMatchObject({ code: 0 });
    expect((await node('gpu-0'))?.state).toBe('drained');
    expect(cli('resume', 'gpu-0').out).toMatch(/^gpu-0 is idle/);
    expect(cli('drain', 'none').err).toMatch(/unknown node none/);
  });

  test('test checks each host, and fails if jobs would miss something', () => {
    const { code, out } = cli('test');
    expect(out).toMatch(/^gpu-0 +host key +ok/m);
    const { bavail, bsize } = statfsSync(world.folder);
    const free = Number(/^gpu-0 +disk +\w+ +([\d.]+) GiB free at jobrunner/m.exec(out)?.[1]);
    // Other programs write meanwhile.
    expect(Math.abs(free - (bavail * bsize) / 1024 ** 3)).toBeLessThan(2);
    expect(out).toMatch(/^gpu-0 +clock +ok/m);
    expect([code, out]).toEqual([0, expect.stringMatching(/^gpu-0 +GPUs +ok/m)]);
    expect(cli('test', 'other').err).toMatch(/has no host other/);
    const [machine] = world.targets;
    machine.setNvidiaSmi(['the driver is gone'], 9);
    const broken = cli('test', 'gpu-0');
    machine.setNvidiaSmi(twoGpus);
    expect(broken).toMatchObject({
      code: 1,
      out: expect.stringMatching(/^gpu-0 +GPUs +fails .*the driver is gone/m),
    });
  });

  test('add pins the keys of all machines on the way, and only confirmed ones', () => {
    const aside = join(world.folder, 'aside.yaml');
    const empty = '# ours\nhosts: []\n';
    writeFileSync(aside, empty);
    const alone = (...more: string[]) => add(aside, ...more);
    expect(alone().err).toMatch(/shows the key SHA256:.*--fingerprint SHA256:/s);
    expect(alone('--fingerprint', 'SHA256:other')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/no --fingerprint names/),
    });
    // This does not confirm the host behind it.
    const way = fingerprintOf(world.jump);
    expect(alone('--fingerprint', way).err).toMatch(/no --fingerprint names/);
    expect(readFileSync(aside, 'utf8')).toBe(empty);

    const added = alone('--fingerprint', way, '--fingerprint', fingerprintOf(world.targets[1]));
    expect(added).toMatchObject({ code: 0, err: '' });
    expect(added.out).toMatch(/^added +reach +ok/m);
    const written = readFileSync(aside, 'utf8');
    expect(written).toMatch(/^# ours\n/);
    for (const { knownHost } of [world.jump, world.targets[1]])
      expect(written).toContain(knownHost);
    expect(alone('--yes').err).toMatch(/has a host added already/);
  });

  test('add says which key or which machine refuses, and adds nothing', () => {
    const aside = join(world.folder, 'refused.yaml');
    writeFileSync(aside, 'hosts: []\n');
    const { jump, targets, key } = world;
    const encrypted = join(world.folder, 'encrypted');
    const text = join(world.folder, 'text');
    writeFileSync(text, 'no key\n');
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-f', encrypted]);
    const other = join(world.folder, 'other');
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', other]);
    const addWith = (identity: string, user = jump.user) => {
      const where = `${targets[1].user}@${targets[1].address}`;
      const way = ['--jump', `${user}@${jump.address}`, '--identity', identity];
      return cliWith(aside, 'add', 'refused', where, ...way, '--yes');
    };
    for (const [identity, why] of [
      [join(world.folder, 'none'), /does not exist/],
      [`${key}.pub`, /is a public key/],
      [encrypted, /has a passphrase/],
      [text, /is not a private key/],
      [other, new RegExp(`its jump host ${jump.address} refuses the login of ${jump.user} `)],
    ] as const)
      expect(addWith(identity)).toMatchObject({ code: 1, err: expect.stringMatching(why) });
    expect(addWith(key, 'nobody').err).toMatch(/its jump host .* refuses the login of nobody /);
    expect(readFileSync(aside, 'utf8')).toBe('hosts: []\n');
  });

  test('add of a host that cannot run jobs fails', () => {
    const aside = join(world.folder, 'failing.yaml');
    const [, machine] = world.targets;
    machine.setNvidiaSmi(['the driver is gone'], 9);
    const broken = add(aside, '--yes');
    expect(broken).toMatchObject({ code: 1, err: expect.stringMatching(/the driver is gone/) });
    expect(existsSync(aside)).toBe(false);
    const claimed = add(aside, '--yes', '--gpus', '8', '--gpu-memory', '80');
    machine.setNvidiaSmi(twoGpus);
    expect(claimed).toMatchObject({
      code: 1,
      out: expect.stringMatching(/^added +GPUs +fails .*jobs cannot run there yet/ms),
    });
  });

  test('add and remove take effect in the running service', async () => {
    const before = readFileSync(nodesFile, 'utf8');
    writeFileSync(nodesFile, `# ours\n${before}`);
    expect(add(nodesFile, '--label', 'rack=b', '--cpus', '1')).toMatchObject({ code: 0, err: '' });
    let added: NodeReply | undefined;
    await until(
      'it is reported',
      async () => (added = await node('added'))?.ssh?.labels !== undefined,
    );
    expect(added).toMatchObject({ cpus: 1, ssh: { labels: { rack: 'b' } } });
    expect(cli('remove', 'added').out).toMatch(/^added is removed from/);
    expect(cli('remove', 'added').err).toMatch(/has no host added; it has gpu-0/);
    expect(readFileSync(nodesFile, 'utf8')).toMatch(/^# ours\n/);
    await until('it is gone', () => isGone('added'));
  });
});

describe('the file of SSH hosts', () => {
  test('may be edited while jobs run here and there: hosts join, and leave once their jobs have ended', async () => {
    const [first, second] = world.targets;
    const local = await stack.submit({
      command_key: 'shell',
      command: 'echo begun; until [ -e go ]; do sleep 0.1; done; echo done',
      mem_gb: 0.2,
      gpus: 1,
    });
    const away = await begin(
      `echo begun; until [ -e ${first.home}/go ]; do sleep 0.1; done; echo done`,
    );

    writeHosts([hostOf(first, { labels: { rack: 'a' } }), hostOf(second, { cpus: 2 })]);
    let came: NodeReply | undefined;
    await until(
      'the second host is there',
      async () => (came = await node('gpu-1'))?.ssh?.leaving === false,
    );
    expect(came).toMatchObject({ cpus: 2, partition: 'ssh' });
    const both = await Promise.all(
      [1, 2].map(() => onSsh('echo $JR_GPU_FRACTION', { gpus: 0.5, cpus: 1 })),
    );
    for (const job of both) expect(job).toMatchObject({ status: 'COMPLETED', log: '0.500000\n' });

    writeHosts([hostOf(second, { cpus: 2 })]);
    let leaving: NodeReply | undefined;
    await until(
      'the first is leaving',
      async () => (leaving = await node('gpu-0'))?.ssh?.leaving === true,
    );
    expect(leaving?.state).toMatch(/^drain/);
    expect(await onSsh('whoami')).toMatchObject({ node: 'gpu-1', log: `${second.user}\n` });

    writeFileSync(join(first.home, 'go'), '');
    expect(await stack.finish(away)).toMatchObject({ status: 'COMPLETED', log: 'begun\ndone\n' });
    await until('the first is gone', () => isGone('gpu-0'));
    const keys = () => readdirSync(join(stack.root, 'remote/keys')).join(' ');
    await until('its keys are gone', () => keys() === 'gpu-1.0.key gpu-1.1.key known_hosts');
    writeFileSync(join(stack.root, 'results', String(local.json.job_id), 'go'), '');
    expect(await stack.finish(local.json.job_id)).toMatchObject({ log: 'begun\ndone\n' });
  });

  test('changes nothing while it is broken, and its error is shown', async () => {
    const good = readFileSync(nodesFile, 'utf8');
    writeFileSync(nodesFile, `${good}  - name: X\n`);
    const problem = async () => (await nodes())?.hosts_file_problem ?? null;
    let told: string | null = null;
    await until('it is shown', async () => (told = await problem()) !== null);
    expect(told).toMatch(/^JR_SSH_NODES: .*hosts\.X\.name: expected lower-case/);
    await until('the log has it, too', () =>
      /hosts\.X\.name: .*the SSH hosts stay as they were/.test(stack.stdout),
    );
    expect(await onSsh('echo on')).toMatchObject({ log: 'on\n' });
    // As an editor leaves it for a moment.
    writeFileSync(nodesFile, '# ours\n');
    await until('the empty file is shown', async () => {
      told = await problem();
      return told?.includes('hosts.X') === false;
    });
    expect(told).toMatch(/is empty; to remove all SSH hosts, write hosts: \[\]$/);
    expect((await node('gpu-1'))?.ssh?.leaving).toBe(false);
    writeFileSync(nodesFile, good);
    await until('it is good again', async () => (await problem()) === null);
  });
});

test('a host that does not answer is drained with the reason, and returns automatically', async () => {
  await until('it is checked', async () => (await node('gpu-1'))?.ssh?.reachable === true);
  await world.targets[1].stop();
  world.targets[1].killAll();
  let drained: NodeReply | undefined;
  await until('it is drained', async () =>
    /^drain/.test((drained = await node('gpu-1'))?.state ?? ''),
  );
  expect(drained?.reason).toMatch(/^ssh: /);
  await world.targets[1].start();
  await until('it takes jobs', async () => (await node('gpu-1'))?.state === 'idle');
  expect(await onSsh('echo back')).toMatchObject({ log: 'back\n' });
});

test('a host with less than its file claims is drained with the reason', async () => {
  const [first, second] = world.targets;
  const kept = hostOf(second, { cpus: 2 });
  writeHosts([kept, hostOf(first, { gpus: { count: 8, type: 'H100', memory_gb: 80 } })]);
  let claimed: NodeReply | undefined;
  await until('it is drained', async (saw) => {
    claimed = await node('gpu-0');
    saw(claimed);
    return /^drain/.test(claimed?.state ?? '') && claimed?.reason?.startsWith('ssh: ') === true;
  });
  expect(claimed?.reason).toMatch(/^ssh: has 2 GPUs .*; the hosts file says 8 of 80 GiB$/);
  first.setNvidiaSmi(Array.from({ length: 8 }, () => '81920, NVIDIA H100'));
  await until('it takes jobs', async () => (await node('gpu-0'))?.state === 'idle');
  writeHosts([kept]);
  await until('it is gone', () => isGone('gpu-0'));
});

test('a stop ends the jobs there, and a second start has the hosts again', async () => {
  const id = await begin('echo begun; sleep 600');
  expect(await stack.down()).toBe(0);
  expect(stack.stdout).toMatch(/^Stopping … 1 running job ends$/m);
  await until('nothing of it runs there', () => runsNothing(world.targets[1]));
  await stack.up();
  expect(await stack.finish(id)).toMatchObject({ status: 'NODE_FAIL', failure: 'node' });
  expect(await onSsh('echo again')).toMatchObject({ log: 'again\n', node: 'gpu-1' });
});

/** No command of a job; connections may stay open. */
function runsNothing({ user }: Machine): boolean {
  const { stdout } = spawnSync('ps', ['-u', user, '-o', 'args='], { encoding: 'utf8' });
  return !stdout.includes('sleep');
}
