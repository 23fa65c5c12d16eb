import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { alternatingLines, printAlternating } from '../alternating-lines.js';
import { RemoteJobs } from './remote-jobs.js';
import { SshWorld, twoGpus } from './ssh-servers.js';
import { until } from '../until.js';

let world: SshWorld;
let jobs: RemoteJobs;

beforeAll(async () => {
  world = await SshWorld.start();
  jobs = await RemoteJobs.start(world);
});

afterAll(async () => {
  await jobs.close();
  await world.close();
});

const shell = (command: string, more = {}) => ({ request: { command, ...more } });

/** Lists the job folders of all installations on a target. */
function jobFolders(target = world.targets[0]): string[] {
  const folder = join(target.home, 'jobrunner/jobs');
  return existsSync(folder)
    ? readdirSync(folder).flatMap((name) => readdirSync(join(folder, name)))
    : [];
}

async function nothingRuns(target = world.targets[0]): Promise<void> {
  await until('all its processes there have ended', (saw) => {
    const left = target.processes();
    saw(left);
    return left.length === 0;
  });
}

describe('a job on an SSH host behind a jump host', () => {
  test('returns its output, exit code and files, and leaves nothing there', async () => {
    const ended = await jobs.run(
      shell(
        'echo one; echo two >&2; mkdir -p a/b; echo weights >a/b/model.pt; ln -s b/model.pt a/last; : >empty; echo x >run.sh; chmod +x run.sh; whoami; exit 7',
      ),
    );
    expect(ended).toMatchObject({ code: 7, signal: null });
    expect(ended.log).toBe(`one\ntwo\n${world.targets[0].user}\n`);
    expect(readFileSync(join(ended.outputs, 'a/last'), 'utf8')).toBe('weights\n');
    expect(readdirSync(ended.outputs).sort()).toEqual(['a', 'empty', 'run.sh']);
    expect(statSync(join(ended.outputs, 'run.sh')).mode & 0o777).toBe(0o750);
    expect(statSync(join(ended.outputs, 'a')).mode & 0o777).toBe(0o770);
    expect(jobFolders()).toEqual([]);
    await nothingRuns();
  });

  test('has both streams in order in its log, or standard error in a separate file', async () => {
    const one = await jobs.run(shell(printAlternating));
    expect(one.log).toBe(alternatingLines);
    const split = await jobs.run(shell('echo one; echo two >&2; exit 3', { split_log: true }));
    expect(split).toMatchObject({ code: 3, log: 'one\n', stderr: 'two\n' });
  });

  test('sees its GPUs, its share of them, and a clean environment', async () => {
    const ended = await jobs.run({
      ...shell('echo "$CUDA_VISIBLE_DEVICES $JR_GPU_FRACTION $JR_GPU_MEM_MB $HOME"; env', {
        gpus: 0.5,
        env: { MINE: "it's" },
      }),
      gpus: '1',
      shards: '50',
    });
    const { home, user } = world.targets[0];
    expect(ended.log.split('\n')[0]).toBe(`1 0.500000 40960 ${home}`);
    expect(ended.log.split('\n')).toEqual(expect.arrayContaining(["MINE=it's", `USER=${user}`]));
    expect(ended.log).not.toMatch(/SSH_|JR_SSH|JR_ROOT/);
  });

  test('gets quotes, line breaks and any script in arguments unchanged, and keeps any bytes in file names', async () => {
    const args = ["it's", '"a" $HOME `id` \\', 'two\nlines', 'žluť 🐎', '', '-n', '!'];
    const command = [
      'printf "%s\\0" "$@" >args',
      "printf x >$'a\\nb'; printf y >$'\\xff\\xfe'; printf z >\"it's \\\"q\\\"\"; mkdir -- -n; printf w >-n/\\\\",
    ].join('\n');
    const ended = await jobs.run(shell(command, { args }));
    expect(ended.code).toBe(0);
    expect(readFileSync(join(ended.outputs, 'args'), 'utf8').split('\0').slice(0, -1)).toEqual(
      args,
    );
    const names = readdirSync(ended.outputs, { encoding: 'buffer' }).map((n) =>
      n.toString('latin1'),
    );
    expect(names.sort()).toEqual(['-n', 'a\nb', 'args', 'it\'s "q"', '\xff\xfe'].sort());
    expect(readFileSync(join(ended.outputs, '-n/\\'), 'utf8')).toBe('w');
  });

  test('finds an uploaded script and the template’s own files', async () => {
    const ended = await jobs.run({
      request: { command_key: 'pytorch_infer', args: ['--x'], params: { python: 'bash' } },
      script: { name: 'my script.py', content: 'echo "$0 $*"; ls "${JR_SCRIPT%/*/*}"\n' },
    });
    expect(ended.log).toMatch(/\/script\/my script\.py --x\n/);
    expect(ended.log).toMatch(/\ntemplate\n/);
  });

  test('that a signal ends makes our process end by that signal, too', async () => {
    const ended = await jobs.run(shell('kill -KILL $PPID; sleep 60'));
    expect(ended).toMatchObject({ code: null, signal: 'SIGKILL' });
    expect(jobFolders()).toEqual([]);
  });

  test('has a binary log that arrives byte for byte', async () => {
    const ended = await jobs.run(shell('head -c 3000000 /dev/urandom | tee copy'));
    expect(ended.logBytes.equals(readFileSync(join(ended.outputs, 'copy')))).toBe(true);
  });

  test('returns 10,000 small outputs, and one of 200 MB', async () => {
    const ended = await jobs.run(
      shell(
        'for d in {0..99}; do mkdir $d; for f in {0..99}; do echo $d $f >$d/$f; done; done; head -c 200000000 /dev/zero >large; printf end >>large; sha256sum large',
      ),
    );
    expect(ended.code).toBe(0);
    const files = readdirSync(ended.outputs, { recursive: true });
    expect(files).toHaveLength(10_101);
    expect(readFileSync(join(ended.outputs, '42/7'), 'utf8')).toBe('42 7\n');
    const digest = execFileSync('sha256sum', ['large'], { cwd: ended.outputs }).toString();
    expect(ended.log).toContain(digest);
  });

  test('has links out and special files left out and named; links inside are kept', async () => {
    const ended = await jobs.run(
      shell(
        'echo 1 >kept; ln -s /etc/passwd out; ln -s ../../.. up; ln -s "$PWD/kept" absolute; ln -s nowhere dangling; mkfifo pipe; mkdir closed; echo 2 >closed/in; chmod 0 closed kept',
      ),
    );
    expect(ended.code).toBe(0);
    expect(readdirSync(ended.outputs).sort()).toEqual(['absolute', 'closed', 'dangling']);
    expect(readlinkSync(join(ended.outputs, 'absolute'))).toBe('kept');
    expect(readFileSync(join(ended.outputs, 'closed/in'), 'utf8')).toBe('2\n');
    for (const fact of ['"out" .*link', '"up" .*link', '"\\./pipe" .*fifo', '"kept" .*read'])
      expect(ended.log).toMatch(new RegExp(`gpu-0: ${fact}`));
  });

  test('is not harmed by a login shell that prints text', async () => {
    const bashrc = join(world.targets[0].home, '.bashrc');
    writeFileSync(bashrc, 'echo hello from bashrc; echo and from here >&2\n');
    const ended = await jobs.run(shell('printf out; printf err >&2'));
    writeFileSync(bashrc, '');
    expect(ended).toMatchObject({ code: 0, log: 'outerr' });
  });

  test('that Slurm starts anew begins with an empty folder and continues its log', async () => {
    const spec = await jobs.write(shell('echo start; echo x >"$(date +%N)"'));
    const first = await jobs.start(spec).ended();
    const [before] = readdirSync(first.outputs);
    const second = await jobs.start(spec, { restart: 1 }).ended();
    expect(second.log).toBe('start\nstart\n');
    expect(readdirSync(second.outputs)).not.toContain(before);
    expect(lstatSync(second.outputs).isDirectory()).toBe(true);
  });
});

test('a job does not start on an unchecked host without the GPUs that its file claims', async () => {
  const [machine] = world.targets;
  machine.setNvidiaSmi(['the driver is gone'], 9);
  const refused = await jobs.run(shell('echo never'));
  machine.setNvidiaSmi(twoGpus);
  expect(refused.code).toBe(75);
  expect(refused.log).toMatch(/SSH host gpu-0: nvidia-smi says: the driver is gone/);
  expect(refused.log).not.toMatch(/never/);
  expect(await jobs.run(shell('echo now'))).toMatchObject({ code: 0, log: 'now\n' });
});

describe('a job whose spec names another user’s files', () => {
  test('does not run, and a key in place of its script is not sent', async () => {
    const spec = await jobs.write({
      request: { command_key: 'python_script', params: { python: 'bash' } },
      script: { name: 'x.sh', content: 'echo never' },
    });
    const key = join(jobs.layout.sshKeys, 'id');
    rmSync(spec.script?.path ?? '');
    symlinkSync(key, spec.script?.path ?? '');
    const ended = await jobs.start(spec).ended();
    expect(ended.log).toMatch(/no part of a job/);
    expect(ended.code).toBe(1);
    expect(ended.log).not.toMatch(/PRIVATE KEY/);
    expect(readdirSync(ended.outputs)).toEqual([]);
  });
});
