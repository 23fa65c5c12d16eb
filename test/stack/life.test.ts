import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { LiveStack, runStackOnce } from './live-stack.js';
import { makeRoot } from './prepared-root.js';
import { until } from '../until.js';

let stack: LiveStack;

beforeAll(async () => {
  // A first start over an empty folder. Without a token, one is made.
  stack = await LiveStack.start({ JR_AUTH_TOKEN: '', JR_ROOT: await makeRoot() });
});

afterAll(async () => {
  await stack.remove();
});

/**
 * Lists processes whose command line names the folder, except this test's own and init, which may
 * be closed to us.
 */
function processesOf(root: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== '1' && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        const folder = readlinkSync(`/proc/${pid}/cwd`);
        return command.includes(root) || folder.startsWith(root) ? [`${pid} ${command}`] : [];
      } catch (error) {
        // A process may end during the check (ESRCH: between opening and reading its file).
        if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
        return [];
      }
    });
}

/** Kills a daemon and waits for its next start; a busy machine ends the old one late. */
async function killAndRestart(program: string): Promise<void> {
  const before = await stack.pidOf(program);
  process.kill(before, 'SIGKILL');
  await until(`${program} is started again`, async () => (await stack.pidOf(program)) !== before);
}

const isWell = () =>
  fetch(`${stack.url}/health`).then(
    async (reply) => ((await reply.json()) as { status: string }).status === 'ok',
    () => false,
  );

test('a token is made, printed once, and readable only by the API', () => {
  const token = readFileSync(join(stack.root, 'secrets', 'auth-token'), 'utf8').trim();
  expect(token).toMatch(/^[\w-]{32}$/);
  expect(stack.stdout.split(token)).toHaveLength(2);
  // Owned by root, which writes it; only the API's user is in its group.
  const { mode, uid } = statSync(join(stack.root, 'secrets'));
  expect([mode & 0o777, uid]).toEqual([0o750, 0]);
  Object.assign(stack, { token });
});

test('no secret is in the environment or command line of a started process', async () => {
  const api = await stack.pidOf('api');
  for (const pid of [api, await stack.pidOf('slurmd'), await stack.pidOf('slurmctld')]) {
    const shown =
      readFileSync(`/proc/${pid}/environ`, 'utf8') + readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    expect(shown).not.toContain(stack.token);
  }
  expect(readFileSync(`/proc/${api}/status`, 'utf8')).not.toMatch(/^Uid:\t0\t/m);
});

test('a daemon that dies is restarted, and jobs run again', async () => {
  for (const program of ['slurmctld', 'slurmdbd', 'mariadb', 'slurmd', 'munged', 'api'])
    await killAndRestart(program);
  await until('all is well', isWell, { deadline: 120_000 });
  expect(await stack.shell('echo alive')).toMatchObject({ status: 'COMPLETED', log: 'alive\n' });
});

test('a slurmdbd that hangs at its start is restarted, and slurmctld starts again', async () => {
  const allowConnections = (perHour: number) =>
    execFileSync('mariadb', [
      '--user=root',
      `--socket=${join(stack.root, 'run/mysql/mysqld.sock')}`,
      `--execute=ALTER USER slurm@localhost WITH MAX_CONNECTIONS_PER_HOUR ${perHour}`,
    ]);
  const log = () => readFileSync(join(stack.root, 'logs/slurmdbd.log'), 'utf8');
  const [said, logged, slurmdbd] = [stack.stdout, log(), await stack.pidOf('slurmdbd')];
  // slurmdbd hangs like this when MariaDB is killed between its first connection and the second.
  process.kill(slurmdbd, 'SIGSTOP');
  allowConnections(1);
  process.kill(slurmdbd, 'SIGKILL');
  await until('slurmdbd hangs', () =>
    log().slice(logged.length).includes('Problem getting cache of data'),
  );
  allowConnections(0);
  await killAndRestart('slurmctld');
  await until('all is well', isWell, { deadline: 120_000 });
  expect(stack.stdout.slice(said.length)).toMatch(/^slurmdbd does not listen on port \d+/m);
  expect(await stack.shell('echo alive')).toMatchObject({ status: 'COMPLETED', log: 'alive\n' });
});

test('a second stack runs beside the first, and a third over the same folder is refused', async () => {
  const other = await LiveStack.start();
  try {
    const [here, there] = await Promise.all([stack.shell('echo here'), other.shell('echo there')]);
    expect([here.log, there.log]).toEqual(['here\n', 'there\n']);
    const { stderr, code } = await runStackOnce(other.env);
    expect(stderr).toMatch(new RegExp(`^jobrunner: .*${other.root}\\b.*\\bkill \\d+\\b`));
    expect(code).toBe(2);
  } finally {
    expect(await other.down('SIGINT')).toBe(0);
    expect(processesOf(other.root)).toEqual([]);
    await other.remove();
  }
  expect(await stack.shell('echo still here')).toMatchObject({ log: 'still here\n' });
});

test('a stop ends all processes and running jobs, and a second start keeps everything', async () => {
  const content = 'kept\n';
  const sha = createHash('sha256').update(content).digest('hex');
  await stack.call('PUT', `/datasets/${sha}`, { body: content });
  const done = await stack.shell('echo result >out.pt; cat "$JR_DATASET_DIR"/*', {
    dataset_sha: sha,
  });
  const running = await stack.submit({ command_key: 'shell', command: 'echo on; sleep 600' });
  const held = await stack.submit({ command_key: 'shell', command: 'echo later', cpus: 16 });
  await stack.until(running.json.job_id, 'RUNNING');

  expect(await stack.down('SIGINT')).toBe(0);
  expect(processesOf(stack.root)).toEqual([]);

  await stack.up();
  expect(stack.stdout).not.toContain(stack.token);
  expect(await stack.finish(done.job_id)).toMatchObject({ status: 'COMPLETED', log: content });
  const exists = await stack.call('GET', `/datasets/exists/${sha}`);
  expect(exists.text).toContain('"exists": true');
  const output = await stack.call(
    'GET',
    `/outputs/download_by_job?job_id=${done.job_id}&rel_path=out.pt`,
  );
  expect(output.text).toBe('result\n');
  expect(await stack.finish(running.json.job_id)).toMatchObject({
    status: 'NODE_FAIL',
    failure: 'node',
  });
  // The waiting job runs now.
  expect(await stack.finish(held.json.job_id)).toMatchObject({
    status: 'COMPLETED',
    log: 'later\n',
  });
  const next = await stack.shell('true');
  expect(next.slurm_job_id).toBeGreaterThan(held.json.slurm_job_id ?? Infinity);
  // By default it begins with the current day.
  const options = ['-a', '-n', '-X', '-P', '-S', 'now-1day', '--format=JobID,State'];
  const env = { ...process.env, SLURM_CONF: join(stack.root, 'slurm/etc/slurm.conf') };
  // slurmctld sends its records in batches some seconds later, and keeps unsent ones over a
  // restart.
  await until('the job is in the accounting', () =>
    execFileSync('sacct', options, { env }).toString().includes(`${done.slurm_job_id}|COMPLETED`),
  );
  expect(existsSync(join(stack.root, 'jr_slurm.db'))).toBe(true);
});

test('when its watch over slurmctld fails, the stack stops all in order and ends with the error', async () => {
  const pidFile = join(stack.root, 'slurm', 'state', 'slurmctld.pid');
  rmSync(pidFile);
  mkdirSync(pidFile);
  await until('it ends', () => !existsSync(`/proc/${stack.pid}`));
  expect(await stack.down()).toBe(1);
  expect(stack.stderr).toMatch(/^jobrunner: Error: EISDIR/);
  expect(processesOf(stack.root)).toEqual([]);
});
