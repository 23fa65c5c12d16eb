import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { join } from 'node:path';
import { RemoteJobs, type RunningJob } from './remote-jobs.js';
import { SshWorld } from './ssh-servers.js';
import { until } from '../until.js';

/*
 * The disk of JR_ROOT is full when results of a job on an SSH host arrive. The host has their only
 * copy.
 */

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

const MiB = 2 ** 20;

/** Mounts a small disk over a folder, and fills all but so many bytes. */
class SmallDisk {
  readonly #fill: string;

  constructor(
    readonly folder: string,
    size: number,
  ) {
    const { uid, gid } = statSync(folder);
    const options = `size=${size},uid=${uid},gid=${gid},mode=755`;
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', folder]);
    this.#fill = join(folder, 'fill');
  }

  fill(butFor = 0): void {
    execFileSync('bash', ['-c', 'cat /dev/zero >"$0" || true', this.#fill], { stdio: 'ignore' });
    truncateSync(this.#fill, statSync(this.#fill).size - butFor);
    chmodSync(this.#fill, 0o600);
  }

  empty(): void {
    rmSync(this.#fill);
  }

  remove(): void {
    execFileSync('umount', ['-l', this.folder]);
  }
}

let results: SmallDisk;
let logs: SmallDisk;

beforeEach(() => {
  results = new SmallDisk(jobs.layout.results, 16 * MiB);
  logs = new SmallDisk(jobs.layout.jobLogs, 2 * MiB);
});

afterEach(() => {
  results.remove();
  logs.remove();
});

const shell = (command: string) => ({ request: { command } });
const waits = 'the disk of JR_ROOT is full';

/** Finds the job's folder on the host; undefined if there is none. */
function folderThere({ spec }: RunningJob): string | undefined {
  const all = join(world.targets[0].home, 'jobrunner/jobs');
  const [installation] = existsSync(all) ? readdirSync(all) : [];
  if (installation === undefined) return undefined;
  const name = readdirSync(join(all, installation)).find((one) =>
    one.startsWith(`${spec.job_id}-`),
  );
  return name === undefined ? undefined : join(all, installation, name);
}

const fourMiB = `head -c ${4 * MiB} /dev/urandom >large; sha256sum large`;

function expectWhole(folder: string, log: string): void {
  expect(log).toContain(execFileSync('sha256sum', ['large'], { cwd: folder }).toString());
}

test('outputs that do not fit stay on the host until there is room, and the job then ends as on the host', async () => {
  const job = await jobs.begin(
    shell(`${fourMiB}; echo made; until [ -e ../go ]; do sleep 0.1; done; exit 7`),
  );
  await job.says('made\n');
  results.fill(MiB);
  execFileSync('touch', [join(folderThere(job) ?? '', 'go')]);
  await job.says(waits);
  expect(job.log).toMatch(/full .*\b4194304 bytes.*\b10\d+ .*JR_ROOT/);
  expect(existsSync(join(folderThere(job) ?? '', 'out/large'))).toBe(true);
  results.empty();
  const ended = await job.ended();
  expect(ended.code).toBe(7);
  expectWhole(ended.outputs, ended.log);
  expect(ended.log.split(waits)).toHaveLength(2);
  expect(folderThere(job)).toBeUndefined();
});

test('a disk that fills up during the transfer is waited for, too', async () => {
  world.limitRate('10mbit');
  const job = await jobs.begin(shell(fourMiB));
  const comes = () => {
    const name = readdirSync(job.spec.output_dir).find((one) => one.endsWith('.part'));
    return name !== undefined && statSync(join(job.spec.output_dir, name)).size > 0;
  };
  await until('the first bytes come', (saw) => {
    saw(job.log);
    return comes();
  });
  results.fill();
  await job.says(waits);
  world.limitRate(undefined);
  results.empty();
  const ended = await job.ended();
  expect(ended.code).toBe(0);
  expect(ended.log).toMatch(/full \(ENOSPC/);
  expectWhole(ended.outputs, ended.log);
  expect(readdirSync(ended.outputs)).toEqual(['large']);
});

test('a job whose log finds no room continues, and each byte of its log arrives once', async () => {
  const go = join(world.targets[0].home, 'go');
  const job = await jobs.begin(
    shell(`echo up; until [ -e ${go} ]; do sleep 0.1; done; seq 20000; exit 3`),
  );
  await job.says('up\n');
  logs.fill(8 * 1024);
  execFileSync('touch', [go]);
  const isOver = () => {
    const folder = folderThere(job);
    return (
      folder !== undefined &&
      lstatSync(join(folder, 'status'), { throwIfNoEntry: false }) !== undefined
    );
  };
  await until('the job ends there', (saw) => {
    saw(job.log);
    return isOver();
  });
  const statsOfLog = () => statSync(join(job.spec.log_dir, 'stdout.log'));
  await until('the last room is used', () => statsOfLog().size > 4096);
  logs.empty();
  const ended = await job.ended();
  expect(ended.code).toBe(3);
  const numbers = Array.from({ length: 20_000 }, (_, i) => `${i + 1}\n`).join('');
  // If the disk has room again by then, our own line stands between two pieces.
  const withoutOurs = [/^jobrunner: .*\n/m, /\njobrunner: .*\n/].map((line) =>
    ended.log.replace(line, ''),
  );
  expect(withoutOurs).toContain(`up\n${numbers}`);
});

test('a waiting job can be cancelled', async () => {
  results.fill(MiB);
  const job = await jobs.begin(shell(fourMiB));
  await job.says(waits);
  job.child.kill('SIGTERM');
  const ended = await job.ended();
  expect(ended.code).toBe(143);
  expect(ended.log).toMatch(/not everything .*later .*outputs need/);
});
