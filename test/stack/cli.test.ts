import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execa } from 'execa';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LiveStack } from './live-stack.js';
import { until } from '../until.js';

const mainJs = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

let stack: LiveStack;
let work: string;
let script: string;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'jr-cli-'));
  chmodSync(work, 0o755);
  script = join(work, 'train.py');
  writeFileSync(script, 'import sys; print("ran", sys.argv[1:])\n', { mode: 0o644 });
  stack = await LiveStack.start({ JR_JOBS_FILE_INTERVAL: '1' });
});

afterAll(async () => {
  await stack.remove();
  rmSync(work, { recursive: true });
});

/** Runs as root on the machine, whose token is in its secrets folder: the variable is not set. */
async function cli(args: string[], env: Record<string, string> = {}, cwd = work) {
  const { JR_ROOT = '', JR_PORT = '' } = stack.env;
  const result = await execa(process.execPath, [mainJs, ...args], {
    env: { PATH: process.env['PATH'] ?? '', JR_ROOT, JR_PORT, ...env },
    extendEnv: false,
    reject: false,
    cwd,
    stdin: 'ignore',
  });
  return { code: result.exitCode, out: result.stdout, err: result.stderr };
}

describe('finding the API', () => {
  test('needs only the address of the service, and never shows the token', async () => {
    const listed = await cli(['jobs']);
    expect(listed).toEqual({ code: 0, out: 'no jobs', err: '' });
    // Over the owner's socket, whatever the port.
    expect(await cli(['jobs'], { JR_PORT: '1' })).toEqual(listed);

    const refused = await cli(['jobs'], { JR_AUTH_TOKEN: 'not-the-token' });
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toMatch(/^jobrunner: .*token.*JR_AUTH_TOKEN/);
    expect(refused.err).not.toContain('not-the-token');
  });

  test('reports an error in one line', async () => {
    const nobody = await cli(['jobs', '--url', 'http://127.0.0.1:1']);
    expect(nobody).toMatchObject({ code: 1 });
    expect(nobody.err).toMatch(/^jobrunner: .*127\.0\.0\.1:1 .*JR_URL.*$/);

    expect(await cli(['jobs'], { JR_ROOT: join(work, 'none') })).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^jobrunner: JR_AUTH_TOKEN: .*$/),
    });
    expect(await cli(['jobs', '--url', 'ftp://x'])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^jobrunner: JR_URL: .*$/),
    });
    expect(await cli(['gpu', 'pause', 'x'])).toMatchObject({ code: 2 });
    expect(await cli(['nonsense'])).toMatchObject({ code: 2 });
    expect(await cli(['gpu', '--help'])).toMatchObject({ code: 0 });
    expect(await cli(['cancel', '99'])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^jobrunner: .*\b99$/),
    });
  });

  test('sends the machine’s token to no other machine, not even after a redirect', async () => {
    const seen: (string | undefined)[] = [];
    const elsewhere = await listen((authorization) => seen.push(authorization));
    const { port } = elsewhere.address() as AddressInfo;
    const away = await listen(() => undefined, `http://localhost:${port}/jobs`);
    try {
      const other = await cli(['jobs'], { JR_URL: `http://jobrunner.example:${port}` });
      expect(other).toMatchObject({
        code: 2,
        err: expect.stringMatching(/JR_AUTH_TOKEN: .*jobrunner\.example/),
      });
      const redirected = await cli(['jobs'], {
        JR_URL: `http://127.0.0.1:${(away.address() as AddressInfo).port}`,
      });
      expect(redirected.code).toBe(1);
      expect(seen).toEqual([]);
    } finally {
      elsewhere.close();
      away.close();
    }
  });
});

describe('jobrunner add', () => {
  test('makes a job of a script, with an absolute path', async () => {
    const file = join(stack.root, 'jobs.txt');
    const added = await cli([
      'add',
      'train.py',
      '--args',
      '--llm qwen2.5-7b-inst --text "a, b" --epochs 3',
      '--priority',
      '1',
      '--gpus',
      '0,1',
    ]);
    expect(added).toMatchObject({ code: 0, err: '' });
    expect(readFileSync(file, 'utf8')).toBe(
      `1,${script},,"--llm qwen2.5-7b-inst --text ""a, b"" --epochs 3",0,1\n`,
    );
    const { json } = await untilListed('train.py');
    expect(json).toMatchObject({ priority: 1, allowed_gpus: [0, 1] });
    const done = await stack.finish(json.job_id);
    expect(done.log).toContain(
      "ran ['--llm', 'qwen2.5-7b-inst', '--text', 'a, b', '--epochs', '3'",
    );

    const log = await cli(['logs', String(json.job_id), '-f']);
    expect(log).toEqual({ code: 0, out: done.log.trimEnd(), err: '' });
    const failed = await stack.shell('echo out; exit 3');
    expect(failed.status).toBe('FAILED');
    const logOf = (...more: string[]) => cli(['logs', String(failed.job_id), ...more]);
    expect(await logOf('-f')).toMatchObject({ code: 1, out: 'out' });
    expect(await logOf()).toEqual({ code: 0, out: 'out', err: '' });
    expect(await cli(['jobs', '--state', 'foo'])).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringMatching(/PENDING, .*COMPLETED/),
    });
    const listed = await cli(['jobs', '--state', 'completed']);
    expect(listed.out).toMatch(/^JOB .*\n\d+ +COMPLETED +1 +1 .* train\.py/);
  });

  test('refuses a job that the service would refuse, and writes nothing', async () => {
    const file = join(work, 'refused.txt');
    const add = (...args: string[]) => cli(['add', ...args, '--output-file', file]);
    expect(await add('none.py')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^jobrunner: script_path: .*none\.py"/),
    });
    for (const [option, value, field] of [
      ['--priority', '-1', 'priority'],
      ['--priority', '2000', 'priority'],
      ['--gpus', '0-', 'allowed_gpus'],
      ['--conda', 'a b', 'conda_env'],
      ['--args', '"open', 'arguments'],
    ] as const)
      expect(await add('train.py', `${option}=${value}`)).toMatchObject({
        code: 1,
        err: expect.stringContaining(`jobrunner: ${field}: `),
      });
    expect(await add('train.py', '--args', 'a\nb')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/line ends/),
    });
    expect(statSync(file, { throwIfNoEntry: false })).toBeUndefined();
    expect(await cli(['add', 'train.py', '--output-file', '/none/jobs.txt'])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^jobrunner: .*\/none\b/),
    });
  });

  test('needs no token, so anyone who can write the file can add jobs', async () => {
    const file = join(work, 'runners.txt');
    writeFileSync(file, '', { mode: 0o666 });
    chmodSync(file, 0o666);
    const { JR_ROOT = '' } = stack.env;
    // The program as the API runs it. The stack makes a copy if this one is closed to others.
    const copy = join(JR_ROOT, 'app');
    const program = existsSync(copy)
      ? [join(copy, 'bin/node'), join(copy, 'dist/main.js')]
      : [process.execPath, mainJs];
    const asRunner = ['--reuid=runner', '--regid=runner', '--init-groups', ...program];
    const run = (...args: string[]) =>
      execa('setpriv', [...asRunner, ...args], {
        env: { PATH: process.env['PATH'] ?? '', JR_ROOT },
        extendEnv: false,
        reject: false,
        cwd: work,
      });
    expect(await run('add', 'train.py', '--output-file', file)).toMatchObject({ exitCode: 0 });
    expect(readFileSync(file, 'utf8')).toBe(`,${script},,,\n`);
    expect(await run('add', 'train.py')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/\bsudo\b/),
    });
    expect(await run('jobs')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/auth-token: .*sudo.*JR_AUTH_TOKEN$/),
    });
  });

  test('first ends a half-written line, and warns if nobody watches the file', async () => {
    const file = join(work, 'half.txt');
    appendFileSync(file, `0,${script},,--half`);
    const added = await cli(['add', 'train.py', '--output-file', 'half.txt']);
    expect(added).toMatchObject({ code: 0, err: expect.stringContaining('JobRunner watches') });
    expect(readFileSync(file, 'utf8')).toBe(`0,${script},,--half\n,${script},,,\n`);
  });

  test('neither loses nor mixes lines when many processes write at once', async () => {
    const file = join(work, 'many.txt');
    const adder = async (name: string) => {
      for (let i = 0; i < 20; i++) {
        const added = await cli([
          'add',
          'train.py',
          '--args',
          `--n ${name}${i}`,
          `--output-file=${file}`,
        ]);
        expect(added.code).toBe(0);
      }
    };
    await Promise.all([adder('a'), adder('b')]);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n').sort();
    const expected = ['a', 'b'].flatMap((name) =>
      Array.from({ length: 20 }, (_, i) => `,${script},,--n ${name}${i},`),
    );
    expect(lines).toEqual(expected.sort());
  }, 300_000);

  test('waits for the holder of the file’s lock', async () => {
    const file = join(work, 'locked.txt');
    writeFileSync(file, '');
    // Writes two lines under the lock; add may write only after the second.
    const holder = execa('flock', [
      file,
      'bash',
      '-c',
      `echo first >>"$1"; read -r; echo second >>"$1"`,
      'bash',
      file,
    ]);
    await once(holder, 'spawn');
    await until('the lock is held', () => readFileSync(file, 'utf8') !== '');
    const adding = cli(['add', 'train.py', '--output-file', file]);
    const { ino } = statSync(file);
    await until('add waits for the lock', () => isWaitedFor(ino));
    holder.stdin?.end('\n');
    await holder;
    expect((await adding).code).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe(`first\nsecond\n,${script},,,\n`);
  });
});

describe('jobrunner status', () => {
  test('shows GPUs and queue, also as JSON for programs', async () => {
    const { json } = await stack.submit({
      command_key: 'shell',
      command: 'sleep 3000',
      name: 'holds a GPU',
      gpus: 1,
      allowed_gpus: '1',
      mem_gb: 0.2,
    });
    await stack.until(json.job_id, 'RUNNING');
    const waiting = await stack.submit({
      command_key: 'shell',
      command: 'true',
      gpus: 1,
      allowed_gpus: '1',
      mem_gb: 0.2,
    });
    const shown = await cli(['status']);
    expect(shown).toMatchObject({ code: 0, err: '' });
    expect(shown.out).toMatch(
      /^NODE +GPU +MODEL .*\nbox0 +0 .*\nbox0 +1 .*\n[^]*\n1 running, 1 waiting\nJOB /,
    );
    expect(shown.out).toMatch(
      new RegExp(`^${json.job_id} +RUNNING +100 +1 +box0(:1)? .* holds a GPU$`, 'm'),
    );
    const programs = JSON.parse((await cli(['status', '--json'])).out) as {
      gpus: { index: number }[];
      jobs: { job_id: number }[];
    };
    expect(programs.gpus.map((gpu) => gpu.index)).toEqual([0, 1]);
    expect(programs.jobs.map((job) => job.job_id)).toEqual([json.job_id, waiting.json.job_id]);

    expect(await cli(['cancel', String(json.job_id)])).toMatchObject({
      code: 0,
      out: expect.stringMatching(new RegExp(`^job ${json.job_id} is (COMPLETING|CANCELLED)$`)),
    });
    await stack.finish(waiting.json.job_id);
  });
});

describe('pausing a GPU', () => {
  test('is shown with user and reason, keeps jobs off, and ends with resume', async () => {
    const paused = await cli(['gpu', 'pause', '0', '--reason', 'fan is loud']);
    expect(paused).toMatchObject({
      code: 0,
      out: 'GPU 0 is paused: no job starts there; none runs there',
    });
    expect(await cli(['pause', '0'])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^jobrunner: GPU 0 .*fan is loud/),
    });
    expect((await cli(['gpu', 'list'])).out).toMatch(/^box0 +0 .* paused by .*: fan is loud +-$/m);
    const { json } = await stack.submit({
      command_key: 'shell',
      command: 'true',
      gpus: 1,
      allowed_gpus: '0',
      mem_gb: 0.2,
    });
    expect((await cli(['status'])).out).toMatch(/^box0 +0 .*\(1 waiting\)$/m);

    expect((await cli(['resume', '0'])).out).toBe('GPU 0 takes jobs again');
    expect(await stack.finish(json.job_id)).toMatchObject({ status: 'COMPLETED' });
    expect(await cli(['gpu', 'resume', '0'])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^jobrunner: GPU 0 .*not paused$/),
    });
    expect(await cli(['gpu', 'pause', '7'])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^jobrunner: .*\bGPU 7\b/),
    });
  });
});

describe('screens', () => {
  test('are listed, and can be attached to only from a terminal', async () => {
    expect((await cli(['screens'])).out).toBe('no screens');
    const { json } = await stack.submit({
      command_key: 'shell',
      command: 'read -r word; echo "typed $word"',
      screen: true,
      gpus: 1,
      allowed_gpus: '1',
      mem_gb: 0.2,
    });
    await stack.until(json.job_id, 'RUNNING');
    const listed = await untilCli(['screens'], `_shell_${json.job_id}`);
    expect(listed).toMatch(new RegExp(`^${json.job_id} +RUNNING +1 +gpujob_1_shell_`, 'm'));

    const id = String(json.job_id);
    expect(await cli(['attach', id])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^jobrunner: attach .*terminal/),
    });
    // script(1) is the terminal; its input goes to the job, whose end ends the session.
    const { JR_ROOT = '', JR_PORT = '' } = stack.env;
    const attached = execa(
      'script',
      ['-qec', `${process.execPath} ${mainJs} attach ${id}`, '/dev/null'],
      { env: { JR_ROOT, JR_PORT, TERM: 'xterm' }, input: 'hello\n', reject: false },
    );
    const done = await stack.finish(json.job_id);
    await attached;
    expect(done).toMatchObject({ status: 'COMPLETED' });
    expect(done.log).toContain('typed hello');
    expect(await cli(['attach', id])).toMatchObject({ code: 1 });
  });
});

async function listen(
  saw: (authorization: string | undefined) => void,
  location?: string,
): Promise<Server> {
  const server = createServer((req, res) => {
    saw(req.headers.authorization);
    if (location === undefined) res.end('{"jobs":[]}');
    else res.writeHead(302, { Location: location }).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Returns the newest job of that name, once there is one. */
async function untilListed(name: string) {
  const { job_id: id } = await until(`a job ${name} is listed`, async () => {
    const { json } = await stack.call<{ jobs: { job_id: number; name: string }[] }>('GET', '/jobs');
    return json.jobs.find((each) => each.name === name);
  });
  return stack.call('GET', `/jobs/${id}`);
}

/** Returns the command's output once it holds `part`. */
async function untilCli(args: string[], part: string): Promise<string> {
  return until(`${args.join(' ')} prints ${part}`, async (saw) => {
    const { out } = await cli(args);
    saw(out);
    return out.includes(part) && out;
  });
}

/**
 * Whether a process waits for a lock on the file of that inode number (/proc/locks, proc(5): "->"
 * marks a blocked process).
 */
function isWaitedFor(inode: number): boolean {
  return new RegExp(`-> FLOCK .*:${inode} `).test(readFileSync('/proc/locks', 'utf8'));
}
