import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execa } from 'execa';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../../src/config/package-root.js';
import { until } from '../until.js';
import { LiveStack } from './live-stack.js';

/*
 * The commands of docs/operations.md, word for word, but for the installation of another machine:
 * the same one stands for it, with the folder moved out of the way.
 */

const mainJs = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const page = readFileSync(join(packageRoot, 'docs', 'operations.md'), 'utf8');
const blocks = [...page.matchAll(/^ *```bash\n([^]*?)^ *```$/gm)].map(([, block = '']) => block);

/** Returns the only block of the page that holds these words. */
function blockWith(words: string): string {
  const found = blocks.filter((block) => block.includes(words));
  if (found.length !== 1) throw new Error(`${found.length} blocks hold ${words}`);
  return found[0] ?? '';
}

/** Returns the first line of the page's commands that begins so. */
function lineWith(start: string): string {
  const lines = blocks.flatMap((block) => block.split('\n').map((line) => line.trim()));
  const found = lines.find((line) => line.startsWith(start));
  if (found === undefined) throw new Error(`no line begins with ${start}`);
  return found;
}

let work: string;
let stack: LiveStack;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'jr-operations-'));
  chmodSync(work, 0o755);
  const command = join(work, 'jobrunner');
  writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${mainJs}' "$@"\n`);
  chmodSync(command, 0o755);
  stack = await LiveStack.start({ JR_JOBS_FILE_INTERVAL: '1' });
});

afterAll(async () => {
  await stack.remove();
  rmSync(work, { recursive: true });
});

/** Runs commands of the page as root on the machine of the stack. */
async function operate(commands: string): Promise<string> {
  const { JR_PORT = '' } = stack.env;
  const { root } = stack;
  const script = `set -eu\nROOT='${root}'\n${commands}`;
  const { stdout } = await execa('bash', ['-c', script], {
    env: { PATH: `${work}:${process.env['PATH'] ?? ''}`, JR_ROOT: root, JR_PORT },
    extendEnv: false,
    cwd: work,
  });
  return stdout;
}

const statusOf = async (token: string) =>
  fetch(`${stack.url}/users/me`, { headers: { Authorization: `Bearer ${token}` } }).then(
    ({ status }) => status,
    () => undefined,
  );

test('the owner’s token is changed while jobs run', async () => {
  const { json } = await stack.submit({
    command_key: 'shell',
    command: 'until [ -e go ]; do sleep 0.1; done',
    mem_gb: 0.1,
  });
  await stack.until(json.job_id, 'RUNNING');
  await operate(blockWith('openssl rand'));
  const token = readFileSync(join(stack.root, 'secrets', 'auth-token'), 'utf8').trim();
  expect(token).toMatch(/^[0-9a-f]{48}$/);
  await until('the new token is valid', async () => (await statusOf(token)) === 200);
  expect(await statusOf(stack.token)).toBe(401);
  const headers = { Authorization: `Bearer ${token}` };
  const shown = await stack.call('GET', `/jobs/${json.job_id}`, { headers });
  expect(shown.json.status).toBe('RUNNING');
  await operate(`touch $ROOT/results/${json.job_id}/go`);
  const ended = await stack.call('GET', `/jobs/${json.job_id}?wait=60`, { headers });
  expect(ended.json.status).toBe('COMPLETED');
  // The next start gets the token of the settings, which the page says to change, too.
  stack.env['JR_AUTH_TOKEN'] = token;
});

test('in maintenance no job starts, and the move to another machine keeps what there is', async () => {
  const { root } = stack;
  const token = stack.env['JR_AUTH_TOKEN'] ?? '';
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
  const script = join(work, 'train.py');
  writeFileSync(script, 'open("weights.pth", "w").write("w")\n');
  appendFileSync(join(root, 'jobs.txt'), `1,${script},,,\n`);
  const listed = async () => {
    const { json } = await stack.call<{ jobs: { job_id: number; status: string }[] }>(
      'GET',
      '/jobs',
      { headers },
    );
    return json.jobs;
  };
  await until('the line’s job has completed', async (saw) => {
    const jobs = await listed();
    saw(jobs);
    return jobs.length === 2 && jobs.every((job) => job.status === 'COMPLETED');
  });

  await operate(lineWith('jobrunner maintenance start'));
  const { json: waiting } = await stack.submit(
    { command_key: 'shell', command: 'true', mem_gb: 0.1 },
    headers,
  );
  await until('the job waits for the node', async () => {
    const { text } = await stack.call('GET', `/jobs/${waiting.job_id}`, { headers });
    return text.includes('drained');
  });
  expect(await operate('jobrunner status')).toMatch(/^box0 is drained: .*new driver/m);

  await stack.down();
  await operate(blockWith('-cpf'));
  renameSync(root, `${root}.old`);
  const unpack = blockWith('-xpf').replace(/^ *\.\/run\.sh --install$/m, '');
  await operate(unpack);
  await stack.up();
  expect(await operate('jobrunner status')).toMatch(/^box0 is drained: .*new driver/m);
  expect((await listed()).map((job) => job.status)).toEqual(['PENDING', 'COMPLETED', 'COMPLETED']);
  await operate(lineWith('jobrunner maintenance end'));
  const ended = await stack.call('GET', `/jobs/${waiting.job_id}?wait=120`, { headers });
  expect(ended.json.status).toBe('COMPLETED');
  rmSync(`${root}.old`, { recursive: true });
  await stack.down();

  // Under another JR_ROOT, the line is still known.
  const elsewhere = `${root}-elsewhere`;
  await operate(blockWith('-cpf'));
  await execa(
    'tar',
    ['-C', dirname(root), '-xpf', join(work, 'jobrunner.tar')].concat(
      `--transform=s,^${basename(root)},${basename(elsewhere)},`,
    ),
  );
  const moved = await LiveStack.start({
    JR_ROOT: elsewhere,
    JR_AUTH_TOKEN: token,
    JR_JOBS_FILE_INTERVAL: '1',
  });
  try {
    const lines = async () => {
      const { json } = await moved.call<{ last_scan: string | null; submitted: number }>(
        'GET',
        '/ingest/jobs-file',
        { headers },
      );
      return json;
    };
    await until('the jobs file was read', async () => (await lines()).last_scan !== null);
    expect(await lines()).toMatchObject({ submitted: 1, lines: 1 });
    const { json } = await moved.call<{ jobs: unknown[] }>('GET', '/jobs', { headers });
    expect(json.jobs).toHaveLength(3);
    expect(existsSync(root)).toBe(true);
  } finally {
    await moved.remove();
  }
}, 300_000);
