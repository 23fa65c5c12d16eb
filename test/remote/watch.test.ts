import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSshProcessConfig } from '../../src/config/ssh.js';
import { hostsStatusSchema, type HostStatus } from '../../src/cluster/ssh-hosts/hosts-status.js';
import { readInstallationId } from '../../src/machines/ssh-hosts/installation.js';
import { readHosts, sshSettings } from '../../src/machines/ssh-hosts/read-hosts.js';
import { startName } from '../../src/machines/ssh-hosts/run/job-files.js';
import { Link } from '../../src/machines/ssh-hosts/ssh/link.js';
import { parseStarts } from '../../src/machines/ssh-hosts/watch/live-starts.js';
import { sweep } from '../../src/machines/ssh-hosts/watch/sweep.js';
import { makePlainDataset } from './dataset-files.js';
import { RemoteJobs } from './remote-jobs.js';
import { SshWorld, twoGpus, type Machine } from './ssh-servers.js';
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

const neverAborted = new AbortController().signal;

async function connected<T>(work: (link: Link) => Promise<T>): Promise<T> {
  const [host] = readHosts(jobs.layout).hosts;
  if (host === undefined) throw new Error('there is no host');
  const config = readSshProcessConfig({ JR_ROOT: jobs.root });
  const link = await Link.connect(host, sshSettings(config, jobs.layout, jobs.layout.sshState));
  try {
    return await work(link);
  } finally {
    link.close();
  }
}

/**
 * @param live the running jobs that Slurm would list; test/stack asks a real Slurm through
 * `liveStarts`
 */
const swept = (live: string[]) =>
  connected((link) =>
    sweep(
      link,
      {
        installation: readInstallationId(jobs.layout.sshInstallation),
        datasets: jobs.layout.datasets,
        live: () => Promise.resolve(new Set(live)),
      },
      neverAborted,
    ),
  );

const folders = () => {
  const folder = join(
    target.home,
    'jobrunner/jobs',
    readInstallationId(jobs.layout.sshInstallation),
  );
  return existsSync(folder) ? readdirSync(folder) : [];
};

test('leftovers of a job whose process here was killed are removed: its folder and all its processes, in any session', async () => {
  mkdirSync(jobs.layout.datasets, { recursive: true });
  const command =
    'setsid bash -c "cd /; exec sleep 62" & (setsid env -i sleep 63 &) ; trap "" TERM; echo up; while :; do sleep 0.1; done';
  const job = await jobs.begin({ request: { command } });
  await job.says('up\n');
  job.child.kill('SIGKILL');
  await job.ended();
  expect(folders()).toHaveLength(1);

  expect(await swept([startName('gpu-0', job.spec.comment, 0)])).toEqual([]);
  expect(target.processes().length).toBeGreaterThan(2);

  expect(await swept([startName('gpu-1', job.spec.comment, 0)])).toEqual([
    `job ${job.spec.job_id}-${job.spec.comment.slice(0, 12)}-0`,
  ]);
  expect(folders()).toEqual([]);
  await until('all its processes there have ended', (saw) => {
    const left = target.processes();
    saw(left);
    return left.length === 0;
  });
});

test('another installation’s jobs on the same host stay', async () => {
  const go = join(target.home, 'go');
  const command = `echo up; until [ -e ${go} ]; do sleep 0.1; done; echo still`;
  const job = await jobs.begin({ request: { command } });
  await job.says('up\n');
  await connected((link) =>
    sweep(
      link,
      {
        installation: 'other0000000',
        datasets: jobs.layout.datasets,
        live: () => Promise.resolve(new Set<string>()),
      },
      neverAborted,
    ),
  );
  writeFileSync(go, '');
  expect(await job.ended()).toMatchObject({ code: 0, log: 'up\nstill\n' });
});

test('a dataset that was deleted here is removed there, and no others', async () => {
  const fill = 'head -c 1000 /dev/urandom >original';
  const [kept, gone] = [1, 2].map(() => makePlainDataset(jobs.root, 'd', fill));
  for (const dataset of [kept, gone])
    if (dataset) expect((await jobs.run({ dataset, request: { command: 'true' } })).code).toBe(0);
  const own = (sha256 = '') => join(jobs.layout.datasets, sha256.slice(0, 2), sha256);
  mkdirSync(own(kept?.sha256), { recursive: true });
  expect(await swept([])).toEqual([`dataset ${gone?.sha256}`]);
  expect(readdirSync(join(target.home, 'jobrunner/datasets'))).toEqual([kept?.sha256]);
  // As if its disk were not mounted.
  rmSync(jobs.layout.datasets, { recursive: true });
  await expect(swept([])).rejects.toThrow(/ENOENT/);
});

test('a host that does not answer is reported with the reason, and returns automatically', async () => {
  // There is no Slurm here, so nothing is swept; the log says so.
  const watch = jobs.watch({
    JR_SSH_WATCH_INTERVAL: '1',
    SLURM_CONF: join(jobs.root, 'slurm.conf'),
  });
  const status = (name: string): HostStatus | undefined =>
    existsSync(jobs.layout.sshStatus)
      ? hostsStatusSchema
          .parse(JSON.parse(readFileSync(jobs.layout.sshStatus, 'utf8')))
          .hosts.find((host) => host.name === name)
      : undefined;
  const becomes = (name: string, ok: boolean) =>
    until(`${name} is ${ok ? 'well' : 'down'}`, (saw) => {
      const seen = status(name);
      saw(seen);
      return seen?.ok === ok;
    });
  await becomes('gpu-0', true);
  await becomes('gpu-1', true);
  expect(status('gpu-0')?.disk_free_bytes).toBeGreaterThan(0);
  // The answer's time counts, too, and a busy machine is slow.
  expect(Math.abs(status('gpu-0')?.clock_skew_seconds ?? 99)).toBeLessThan(60);

  await target.stop();
  target.killAll();
  await becomes('gpu-0', false);
  expect(status('gpu-0')?.reason).toMatch(/^cannot be reached \(.*(refused|open failed).*\)$/);
  expect(status('gpu-1')?.ok).toBe(true);
  const { since } = status('gpu-0') ?? {};
  await target.start();
  await becomes('gpu-0', true);
  expect(status('gpu-0')?.since).toBeGreaterThan(since ?? Infinity);
  watch.kill('SIGTERM');
  await until('the watch ends', () => watch.exitCode !== null || watch.signalCode !== null);
  expect(watch.exitCode).toBe(0);
});

test('a host that has less than its file claims, or whose driver fails, is reported with the reason', async () => {
  const record = readHosts(jobs.layout);
  const [first, second] = record.hosts;
  if (first === undefined || second === undefined) throw new Error('there are two hosts');
  target.setNvidiaSmi(['the driver is gone'], 9);
  jobs.setHosts([first, { ...second, memory_gb: 999_999 }]);
  const watch = jobs.watch({
    JR_SSH_WATCH_INTERVAL: '1',
    SLURM_CONF: join(jobs.root, 'slurm.conf'),
  });
  const reasonOf = (name: string) =>
    existsSync(jobs.layout.sshStatus) &&
    hostsStatusSchema
      .parse(JSON.parse(readFileSync(jobs.layout.sshStatus, 'utf8')))
      .hosts.find((host) => host.name === name)?.reason;
  const untilReason = (name: string, reason: RegExp | null) =>
    until(`the reason of ${name} is ${reason}`, (saw) => {
      const seen = reasonOf(name);
      saw(seen);
      return reason === null ? seen === null : reason.test(seen || '');
    });
  await untilReason('gpu-0', /^nvidia-smi says: the driver is gone; the hosts file says 2 of/);
  await untilReason('gpu-1', /^has .* GiB of memory; the hosts file says 999999 GiB$/);
  target.setNvidiaSmi(twoGpus);
  await untilReason('gpu-0', null);
  watch.kill('SIGTERM');
  await until('the watch ends', () => watch.exitCode !== null || watch.signalCode !== null);
  jobs.setHosts(record.hosts);
});

test('squeue’s output is read as the running starts', () => {
  const line = (...cells: string[]) =>
    [20, 12, 80, 120].map((width, i) => (cells[i] ?? '').padEnd(width)).join('');
  const output = [
    line('RUNNING', '0', 'gpu-0', 'c0ffee-0000-4000-8000-000000000000'),
    line('PENDING', '1', '', 'aaaaaaaa-0000-4000-8000-000000000000'),
    line('COMPLETING', '2', 'gpu-1', 'bbbbbbbb-1111-4000-8000-000000000000'),
  ].join('\n');
  expect([...parseStarts(output)]).toEqual(['gpu-0 c0ffee000040-0', 'gpu-1 bbbbbbbb1111-2']);
  expect(() => parseStarts(line('RUNNING', 'x', 'gpu-0', 'c'))).toThrow(/unreadable line/);
});

test('a host that answers without end does not fill our memory', async () => {
  await connected(async (link) => {
    await expect(link.call(['cat', '/dev/zero'])).rejects.toThrow(/its answer has no end/);
    const some = await link.call(['head', '-c', '100000', '/dev/zero']);
    expect(some.length).toBe(100_000);
  });
});
