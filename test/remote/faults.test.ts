import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { makeDataset, makePlainDataset } from './dataset-files.js';
import { hostOf, RemoteJobs } from './remote-jobs.js';
import { SshWorld, type Machine } from './ssh-servers.js';
import { until } from '../until.js';

let world: SshWorld;
let jobs: RemoteJobs;
let target: Machine;

beforeAll(async () => {
  world = await SshWorld.start();
  jobs = await RemoteJobs.start(world);
  [target] = world.targets;
});

afterAll(async () => {
  await jobs.close();
  await world.close();
});

const shell = (command: string, more = {}) => ({ request: { command, ...more } });
const HOST_FAILED = 75;

function jobFolders(): string[] {
  const folder = join(target.home, 'jobrunner/jobs');
  return existsSync(folder)
    ? readdirSync(folder).flatMap((name) =>
        readdirSync(join(folder, name)).map((job) => join(folder, name, job)),
      )
    : [];
}

/** 0 if there is none. */
const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

const nothingRuns = () =>
  until('all its processes there have ended', (saw) => {
    const left = target.processes();
    saw(left);
    return left.length === 0;
  });

describe('a link that is cut', () => {
  test('during a job lets the job continue, and each byte of its log arrives once', async () => {
    const lines =
      'for i in {1..400}; do echo "line $i"; echo "error $i" >&2; sleep 0.02; done; echo end >out';
    const job = await jobs.begin(shell(lines));
    await job.says('line 20\n');
    world.cut(true);
    await job.says('trying again');
    world.cut(false);
    const ended = await job.ended();
    expect(ended.code).toBe(0);
    const numbers = (text: string, word: string) =>
      [...text.matchAll(new RegExp(`^${word} (\\d+)$`, 'gm'))].map(([, n]) => Number(n));
    const all = Array.from({ length: 400 }, (_, i) => i + 1);
    expect(numbers(ended.log, 'line')).toEqual(all);
    expect(numbers(ended.log, 'error')).toEqual(all);
    expect(ended.log).toMatch(/\bgpu-0\b.* back after \d+ s/);
    expect(readFileSync(join(ended.outputs, 'out'), 'utf8')).toBe('end\n');
  });

  test('while a dataset is sent lets the transfer continue where it stopped', async () => {
    const dataset = makePlainDataset(jobs.root, 'd', 'head -c 150000000 /dev/urandom >original');
    // Slow enough to be unfinished at the cut.
    world.limitRate('100mbit');
    const job = await jobs.begin({ dataset, ...shell('sha256sum <"$JR_DATASET_FILE"') });
    const coming = () => {
      const folder = join(target.home, 'jobrunner/datasets');
      if (!existsSync(folder)) return 0;
      const name = readdirSync(folder).find((n) => n.startsWith(`${dataset.sha256}.`));
      const path = join(folder, name ?? 'none', 'original');
      return sizeOf(path);
    };
    await job.says('sends dataset');
    await until('the first bytes come', () => coming() > 1_000_000);
    world.cut(true);
    await job.says('trying again');
    const before = coming();
    expect(before).toBeLessThan(150_000_000);
    world.limitRate(undefined);
    world.cut(false);
    const ended = await job.ended();
    expect(ended.log).toContain(dataset.sha256);
    expect(ended.log).not.toContain('another digest');
  });

  test('while outputs are fetched lets them arrive whole', async () => {
    world.limitRate('100mbit');
    const job = await jobs.begin(
      shell(
        'for i in {1..50}; do echo $i >small-$i; done; head -c 150000000 /dev/urandom >large; sha256sum large; echo made',
      ),
    );
    await job.says('made\n');
    const arrives = () =>
      readdirSync(job.spec.output_dir).some(
        (name) => name.endsWith('.part') && sizeOf(join(job.spec.output_dir, name)) > 1_000_000,
      );
    await until('the first bytes come', arrives);
    world.cut(true);
    await job.says('trying again');
    world.limitRate(undefined);
    world.cut(false);
    const ended = await job.ended();
    expect(ended.code).toBe(0);
    const digest = execFileSync('sha256sum', ['large'], { cwd: ended.outputs }).toString();
    expect(ended.log).toContain(digest);
    expect(readdirSync(ended.outputs)).toHaveLength(51);
  });
});

describe('a host that', () => {
  test('reboots during a job fails the job, which is not started twice', async () => {
    const job = await jobs.begin(shell('echo started; echo 1 >>out; sleep 600'));
    await job.says('started\n');
    // Simulates a reboot: ends all its processes and connections, and changes the recorded boot id.
    // (Only a separate machine has a boot id of its own.)
    const [folder = ''] = jobFolders();
    const fact = execFileSync('readlink', [join(folder, 'supervisor')])
      .toString()
      .trim();
    // Nobody sees one without the other.
    world.cut(true);
    target.killAll();
    rmSync(join(folder, 'supervisor'));
    symlinkSync(
      fact.replace(/\S+$/, '01234567-89ab-cdef-0123-456789abcdef'),
      join(folder, 'supervisor'),
    );
    world.cut(false);
    const ended = await job.ended();
    expect(ended.code).toBe(HOST_FAILED);
    expect(ended.log).toMatch(/SSH host gpu-0: .*rebooted/);
    expect(readFileSync(join(ended.outputs, 'out'), 'utf8')).toBe('1\n');
    expect(jobFolders()).toEqual([]);
  });

  test('loses the job’s processes is reported', async () => {
    const job = await jobs.begin(shell('echo started; sleep 600'));
    await job.says('started\n');
    target.killAll();
    const ended = await job.ended();
    expect(ended.code).toBe(HOST_FAILED);
    expect(ended.log).toMatch(/SSH host gpu-0: .*killed/);
  });

  test('cannot be reached when the job starts is tried again until it answers', async () => {
    await world.jump.stop();
    const job = await jobs.begin(shell('echo there'));
    await job.says('trying again');
    await world.jump.start();
    const ended = await job.ended();
    expect(ended.code).toBe(0);
    expect(ended.log).toMatch(/SSH host gpu-0: .*Connection refused.*again/);
  });

  test('has a different key than the known one is refused', async () => {
    const known = target.knownHost;
    await target.stop();
    target.setHostKey();
    await target.start();
    const changed = await jobs.run(shell('echo never'));
    expect(changed.code).toBe(HOST_FAILED);
    expect(changed.log).toMatch(/SSH host gpu-0: .*host key .*known_hosts/);
    jobs.trust(world.jump, world.targets[1]);
    const unknown = await jobs.run(shell('echo never'));
    expect(unknown.log).toMatch(/SSH host gpu-0: .*No ED25519 host key is known/);
    expect(changed.log + unknown.log).not.toContain('never');
    jobs.trust(...world.machines);
    expect(target.knownHost).not.toBe(known);
    expect((await jobs.run(shell('echo again'))).code).toBe(0);
  });

  test('denies the login is reported, with the user', async () => {
    target.allow('');
    const ended = await jobs.run(shell('echo never'));
    target.allow(world.publicKey);
    expect(ended.code).toBe(HOST_FAILED);
    expect(ended.log).toMatch(
      new RegExp(`SSH host gpu-0: .*login .*${target.user}@${target.address}: Permission denied`),
    );
  });

  test('has a full disk fails the job before it starts', async () => {
    const workdir = join(target.home, 'small');
    mkdirSync(workdir);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1M,mode=777', 'none', workdir]);
    try {
      jobs.setHosts([
        { ...hostOf(target, jobs.loginOf(target), [jobs.loginOf(world.jump)]), workdir },
      ]);
      const dataset = makePlainDataset(jobs.root, 'd', 'head -c 3000000 /dev/urandom >original');
      const sent = await jobs.run({ dataset, ...shell('echo never') });
      expect(sent.code).toBe(HOST_FAILED);
      expect(sent.log).toMatch(/SSH host gpu-0: .*disk .*No space left on device/);
      execFileSync('bash', ['-c', `cat /dev/zero >${workdir}/fill || true`], { stdio: 'ignore' });
      const begun = await jobs.run(shell('echo never'));
      expect(begun.code).toBe(HOST_FAILED);
      expect(begun.log).toMatch(/SSH host gpu-0: .*disk .*full/);
      rmSync(join(workdir, 'fill'));
      const filled = await jobs.run(
        shell('cat /dev/zero >zeros; code=$?; rm zeros; echo "cat: $code"'),
      );
      // 141: the copier of standard error found no room either, and ended before cat had written
      // its whole message.
      expect(filled.log).toMatch(/cat: (1|141)\n/);
      expect(filled.code).toBe(0);
    } finally {
      execFileSync('umount', ['-l', workdir]);
      jobs.setHosts(
        world.targets.map((t) => hostOf(t, jobs.loginOf(t), [jobs.loginOf(world.jump)])),
      );
    }
  });

  test('has no working folder gets one; a folder that cannot be made is named', async () => {
    const host = hostOf(target, jobs.loginOf(target), [jobs.loginOf(world.jump)]);
    jobs.setHosts([{ ...host, workdir: 'deep er/down' }]);
    const made = await jobs.run(shell('pwd'));
    expect(made.log).toContain(`${target.home}/deep er/down/jobs/`);
    jobs.setHosts([{ ...host, workdir: '/root/jobs' }]);
    const refused = await jobs.run(shell('pwd'));
    jobs.setHosts([host]);
    expect(refused.code).toBe(HOST_FAILED);
    expect(refused.log).toMatch(/SSH host gpu-0: .*\/root\/jobs\b.*Permission denied/);
  });
});

describe('a job that is cancelled', () => {
  test('gets SIGTERM, and its last outputs are fetched', async () => {
    const job = await jobs.begin(
      shell('trap "echo wound up >out; exit 0" TERM; echo up; sleep 60 & wait'),
    );
    await job.says('up\n');
    job.child.kill('SIGTERM');
    const ended = await job.ended();
    expect(ended.code).toBe(143);
    expect(readFileSync(join(ended.outputs, 'out'), 'utf8')).toBe('wound up\n');
    expect(jobFolders()).toEqual([]);
    await nothingRuns();
  });

  test('and ignores SIGTERM is killed, with its background processes', async () => {
    const job = await jobs.begin(
      shell(
        'trap "" TERM; setsid bash -c "trap \\"\\" TERM; while :; do sleep 0.1; done" & (cd /; exec env -u JR_REMOTE_JOB sleep 61) & echo up; while :; do sleep 0.1; done',
      ),
    );
    await job.says('up\n');
    job.child.kill('SIGTERM');
    // The time that Slurm grants (KillWait).
    const killing = setTimeout(() => job.child.kill('SIGKILL'), 10_000);
    const ended = await job.ended();
    clearTimeout(killing);
    expect(ended.code).toBe(143);
    await nothingRuns();
  });

  test('while its dataset is sent ends at once', async () => {
    const dataset = makePlainDataset(jobs.root, 'd', 'head -c 200000000 /dev/urandom >original');
    // Slow enough to be unfinished at the cancellation.
    world.limitRate('100mbit');
    const job = await jobs.begin({ dataset, ...shell('echo never') });
    await job.says('sends dataset');
    job.child.kill('SIGTERM');
    world.limitRate(undefined);
    const ended = await job.ended();
    expect(ended.code).toBe(143);
    expect(ended.log).not.toContain('never');
    await nothingRuns();
    expect(jobFolders()).toEqual([]);
  });
});

describe('a dataset', () => {
  const fill = (name: string) =>
    `mkdir -p a/b; printf ${name} >$'a/b/\\xff\\n'; head -c 70000000 /dev/zero >a/large; echo '#!/bin/sh' >exe; chmod +x exe; ln -s exe link`;

  test('is sent to a host once, also when two jobs need it at the same time', async () => {
    const dataset = makeDataset(jobs.root, fill('one'));
    const command =
      'cd "$JR_DATASET_DIR"; cat a/b/*; stat -c "%a %s" exe a/large; readlink link; touch new';
    const both = await Promise.all([1, 2].map(() => jobs.run({ dataset, ...shell(command) })));
    for (const ended of both)
      expect(ended.log).toMatch(
        /one500 10\n400 70000000\nexe\n.*touch: cannot touch 'new': Permission denied/s,
      );
    const third = await jobs.run({ dataset, ...shell(command) });
    const sent = [...both, third].filter(({ log }) => log.includes('sends dataset'));
    expect(sent).toHaveLength(1);
  });

  test('that arrives damaged is sent again, and refused when it never arrives intact', async () => {
    const dataset = makePlainDataset(jobs.root, 'd', 'head -c 1000000 /dev/urandom >original');
    const { sha256 } = dataset;
    const wrong = { ...dataset, sha256: sha256.replace(/^./, (c) => (c === 'a' ? 'b' : 'a')) };
    const ended = await jobs.run({ dataset: wrong, ...shell('echo never') });
    expect(ended.code).toBe(HOST_FAILED);
    expect(ended.log).toMatch(/another digest.*again/);
    expect(ended.log).toMatch(/another digest.*3 times/);
    // Half of it is there, with one wrong byte.
    const coming = readdirSync(join(target.home, 'jobrunner/datasets')).find((n) =>
      n.startsWith(wrong.sha256),
    );
    const installation = coming?.split('.')[1] ?? '';
    const folder = join(target.home, 'jobrunner/datasets', `${sha256}.${installation}`);
    mkdirSync(join(folder, 'tree'), { recursive: true });
    const bytes = readFileSync(dataset.original).subarray(0, 500_000);
    bytes[1234] = (bytes[1234] ?? 0) ^ 1;
    writeFileSync(join(folder, 'original'), bytes);
    execFileSync('chown', ['-R', `${target.user}:`, folder]);
    const mended = await jobs.run({ dataset, ...shell('sha256sum <"$JR_DATASET_FILE"') });
    expect(mended.log).toMatch(/another digest.*again\n/);
    expect(mended.log).toContain(sha256);
  });
});

describe('secrets', () => {
  test('each machine accepts its own password, and no process list or log shows one', async () => {
    const [jump, goal] = ['jump-PASS-word1', "t'ar get-PASS-word2"];
    for (const [machine, password] of [
      [world.jump, jump],
      [target, goal],
    ] as const) {
      execFileSync('chpasswd', { input: `${machine.user}:${password}\n` });
      machine.allow('');
    }
    const login = (machine: Machine, password: string) => ({
      ...jobs.loginOf(machine),
      identity_path: null,
      password_path: jobs.keepPassword(machine.name, password),
    });
    jobs.setHosts([hostOf(target, login(target, goal), [login(world.jump, jump)])]);
    const job = await jobs.begin(shell('echo up; sleep 1; env'));
    await job.says('up\n');
    const seen = execFileSync(
      'bash',
      ['-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" " "; ps -eo args'],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    ).toString();
    const ended = await job.ended();
    expect(ended.code).toBe(0);
    jobs.setHosts([hostOf(target, login(target, 'wrong-PASS-word3'), [login(world.jump, jump)])]);
    const refused = await jobs.run(shell('echo never'));
    for (const machine of [world.jump, target]) machine.allow(world.publicKey);
    jobs.setHosts([hostOf(target, jobs.loginOf(target), [jobs.loginOf(world.jump)])]);
    expect(refused.log).toMatch(/SSH host gpu-\d: .*login/);
    expect(seen + ended.log + refused.log).not.toContain('PASS-word');
  });
});
