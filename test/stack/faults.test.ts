import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
  closeSync,
} from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { untilTold } from './gpu-jobs.js';
import { LiveStack } from './live-stack.js';
import { refusal } from '../refusal.js';
import { until } from '../until.js';

let stack: LiveStack;

beforeAll(async () => {
  stack = await LiveStack.start();
});

afterAll(async () => {
  await stack.remove();
});

/** Runs a Slurm command as the owner would. */
function supervisorctl(...args: string[]): void {
  execFileSync('supervisorctl', ['-c', join(stack.root, 'run', 'supervisord.conf'), ...args]);
}

/** Waits until the health, which is up to a second old, has that status. @returns the reply */
async function healthIs(status: string) {
  return until(`health is ${status}`, async (saw) => {
    const reply = await fetch(`${stack.url}/health`).catch(() => undefined);
    const body = (await reply?.json()) as { status: string } | undefined;
    saw(body);
    return body?.status === status && { status: reply?.status, body };
  });
}

test('a job submitted while slurmctld is down is accepted, and runs once when it is back', async () => {
  supervisorctl('stop', 'slurmctld');
  const first = await stack.submit({ command_key: 'shell', command: 'echo once' });
  const second = await stack.submit({ command_key: 'shell', command: 'echo twice' });
  expect([first.status, second.status]).toEqual([202, 202]);
  expect(first.json).toMatchObject({ status: 'SUBMITTING', slurm_job_id: null });
  const withdrawn = await stack.submit({ command_key: 'shell', command: 'echo never' });
  const cancelled = await stack.call('POST', `/jobs/${withdrawn.json.job_id}/cancel`);
  expect(cancelled.json.status).toBe('CANCELLED');
  const health = await healthIs('down');
  expect(health.status).toBe(503);
  expect(health.body).toMatchObject({ slurmctld: 'down', slurmdbd: 'up' });

  supervisorctl('start', 'slurmctld');
  for (const [reply, log] of [
    [first, 'once\n'],
    [second, 'twice\n'],
  ] as const)
    expect(await stack.finish(reply.json.job_id)).toMatchObject({ status: 'COMPLETED', log });
});

test('a job that Slurm accepted just before the API was killed is found again, and not run twice', async () => {
  await healthIs('ok');
  const { json } = await stack.submit({
    command_key: 'shell',
    // It must not end, and be recorded as ended, before the API stops.
    command: `echo run >>runs; ${untilTold}`,
  });
  supervisorctl('stop', 'api');
  // As if the API had been killed before it recorded Slurm's answer.
  execFileSync('python3', [
    '-c',
    `import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute("UPDATE jobs SET state = 'SUBMITTING', slurm_job_id = NULL WHERE job_id = ?", (sys.argv[2],)); db.commit()`,
    join(stack.root, 'jr_slurm.db'),
    String(json.job_id),
  ]);
  supervisorctl('start', 'api');
  await healthIs('ok');
  writeFileSync(join(stack.root, 'results', String(json.job_id), 'end'), '');
  expect(await stack.finish(json.job_id)).toMatchObject({
    status: 'COMPLETED',
    slurm_job_id: json.slurm_job_id,
  });
  const runs = await stack.call(
    'GET',
    `/outputs/download_by_job?job_id=${json.job_id}&rel_path=runs`,
  );
  expect(runs.text).toBe('run\n');
});

test('jobs run and their states arrive while slurmdbd is down', async () => {
  supervisorctl('stop', 'slurmdbd');
  await healthIs('degraded');
  expect(await stack.shell('exit 3')).toMatchObject({ status: 'FAILED', exit_code: 3 });
  supervisorctl('start', 'slurmdbd');
  await healthIs('ok');
});

test('health names this machine’s node while its slurmd is away', async () => {
  supervisorctl('stop', 'slurmd');
  const { status, body } = await healthIs('degraded');
  expect(status).toBe(200);
  expect(body).toMatchObject({ slurmctld: 'up', not_answering: ['box0'] });
  supervisorctl('start', 'slurmd');
  expect((await healthIs('ok')).body).toMatchObject({ not_answering: [] });
  expect(await stack.shell('echo back')).toMatchObject({ log: 'back\n' });
});

test('verify finds a dataset with a flipped byte, and no job gets it', async () => {
  const content = 'precious\n'.repeat(1000);
  const sha = createHash('sha256').update(content).digest('hex');
  await stack.call('PUT', `/datasets/${sha}`, { body: content });
  const path = join(stack.root, 'datasets', sha.slice(0, 2), sha, 'original');
  const file = openSync(path, 'r+');
  writeSync(file, 'P', 4000);
  closeSync(file);
  await stack.call('POST', `/datasets/${sha}/verify`);
  const refused = await stack.submit({ command_key: 'shell', command: 'true', dataset_sha: sha });
  expect(refused.status).toBe(409);
  expect(refused.json.error).toEqual(refusal('dataset_corrupt', 'dataset_sha'));
  expect((await stack.call('PUT', `/datasets/${sha}`, { body: content })).status).toBeLessThan(300);
  expect(await stack.shell('true', { dataset_sha: sha })).toMatchObject({ status: 'COMPLETED' });
});

test('five hundred clients with unfinished headers do not block others', async () => {
  const url = new URL(stack.url);
  const slow = await Promise.all(
    Array.from({ length: 500 }, async () => {
      const socket: Socket = connect(Number(url.port), url.hostname);
      await once(socket, 'connect');
      socket.on('error', () => socket.destroy());
      socket.write('GET /jobs HTTP/1.1\r\nHost: x\r\nX-Slow: ');
      return socket;
    }),
  );
  expect(await stack.shell('echo served')).toMatchObject({ log: 'served\n' });
  for (const socket of slow) socket.destroy();
});

test('on a full disk, requests get 507, nothing is half-stored, and the service stays up', async () => {
  const disk = await LiveStackOnSmallDisk.start();
  try {
    const { bavail, bsize } = statfsSync(disk.stack.root);
    const filler = join(disk.stack.root, 'filler');
    // Leaves 20 MB free.
    execFileSync('fallocate', ['-l', String(bavail * bsize - 20 * 1024 ** 2), filler]);
    const content = Buffer.alloc(60 * 1024 ** 2, 7);
    const sha = createHash('sha256').update(content).digest('hex');
    const refused = await disk.stack.call('PUT', `/datasets/${sha}`, { body: content });
    expect(refused.status).toBe(507);
    expect(refused.json.error).toEqual(refusal('disk_full'));
    const datasets = join(disk.stack.root, 'datasets');
    const left = readdirSync(datasets, { recursive: true, withFileTypes: true });
    expect(left.filter((entry) => entry.isFile())).toEqual([]);
    const health = await fetch(`${disk.stack.url}/health`);
    expect(await health.json()).toMatchObject({ status: 'down', disk: 'full' });

    rmSync(filler);
    expect((await disk.stack.call('PUT', `/datasets/${sha}`, { body: content })).status).toBe(201);
    expect(await disk.stack.shell('echo fine')).toMatchObject({ status: 'COMPLETED' });
  } finally {
    await disk.remove();
  }
});

class LiveStackOnSmallDisk {
  readonly #mount: string;

  private constructor(
    readonly stack: LiveStack,
    mount: string,
  ) {
    this.#mount = mount;
  }

  static async start(): Promise<LiveStackOnSmallDisk> {
    const mount = execFileSync('mktemp', ['-d', '/tmp/jr-test-disk-XXXXXX']).toString().trim();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1200m,mode=755', 'tmpfs', mount]);
    const stack = await LiveStack.start({ JR_ROOT: join(mount, 'jr') });
    return new LiveStackOnSmallDisk(stack, mount);
  }

  async remove(): Promise<void> {
    await this.stack.remove();
    execFileSync('umount', [this.#mount]);
    rmSync(this.#mount, { recursive: true });
  }
}

test('the API’s log does not hold the token', () => {
  const log = readFileSync(join(stack.root, 'logs', 'api.log'), 'utf8');
  expect(log).not.toContain(stack.token);
});
