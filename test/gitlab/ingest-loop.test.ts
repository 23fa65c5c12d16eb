import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { AppError } from '../../src/errors.js';
import type { Project } from './api.js';
import { ClaimingServer } from './claiming-server.js';
import { GitLabStandIn } from './stand-in.js';
import { until } from '../until.js';

interface Response {
  status: string;
  worker: string;
  nonce: string;
  lease_until?: string;
  message?: string;
}

/** Long enough for a live server to renew it on a busy machine. */
const leaseMs = 8000;

/** Several leases take long on a busy machine. */
const patience = { deadline: 120_000 };

let gitlab: GitLabStandIn;
let servers: ClaimingServer[];

beforeEach(async () => {
  gitlab = await GitLabStandIn.start();
  servers = [];
});

afterEach(async () => {
  await Promise.all(servers.map((server) => server.remove()));
  await gitlab.close();
});

function server(...[settings]: [ConstructorParameters<typeof ClaimingServer>[2]?]) {
  const made = new ClaimingServer(`server-${servers.length + 1}`, gitlab, settings);
  servers.push(made);
  return made;
}

const manifest = (ids: readonly string[], more: Record<string, unknown> = {}) => ({
  'gpu_jobs/manifest.yaml': JSON.stringify({
    version: 1,
    jobs: ids.map((id) => ({ job_id: id, job_type: 'training', ...more })),
  }),
});

async function response(project: Project, job = 'a'): Promise<Response | undefined> {
  const text = await gitlab.read(project, `gpu_jobs/job_${job}/response.yaml`);
  return text === undefined ? undefined : (parse(text, { version: '1.1' }) as Response);
}

const isReported = async (project: Project, job = 'a') => {
  const there = await response(project, job);
  return there !== undefined && there.lease_until === undefined;
};

const untilReported = (project: Project, job = 'a') =>
  until(
    `job ${job} of ${project.path} is reported`,
    async (saw) => {
      saw(await response(project, job));
      return isReported(project, job);
    },
    patience,
  );

const untilJobs = ({ jobs }: ClaimingServer, count: number) =>
  until(
    `the server has submitted ${count} jobs`,
    (saw) => {
      saw(jobs.map(({ name, state }) => `${name} ${state}`));
      return jobs.length === count;
    },
    patience,
  );

const untilCounted = (server: ClaimingServer, outcome: 'done' | 'lost') =>
  until(
    `one job is ${outcome}`,
    (saw) => {
      saw(server.counts);
      return server.counts[outcome] === 1;
    },
    patience,
  );

describe('of several servers', () => {
  test('exactly one runs each job, whichever messages are lost', async () => {
    const ids = ['j1', 'j2', 'j3', 'j4'];
    const projects = [
      await gitlab.addProject({ path: 'a/one', files: manifest(ids) }),
      await gitlab.addProject({ path: 'a/two', files: manifest(ids) }),
    ];
    const files = /repository\/files/;
    gitlab.fail({ method: 'POST', url: files, times: 3 }, { kind: 'lost-reply' });
    gitlab.fail({ method: 'POST', url: files, times: 2 }, { kind: 'reset' });
    gitlab.fail({ method: 'PUT', url: files, times: 2 }, { kind: 'lost-reply' });
    gitlab.fail(
      { method: 'POST', url: files, times: 2 },
      { kind: 'answer', status: 409, body: '{"message":"409 Conflict: Resource lock"}' },
    );
    for (let i = 0; i < 3; i++) server({ maxJobs: 2 }).start();
    for (const project of projects) for (const id of ids) await untilReported(project, id);
    const ran = servers.flatMap(({ jobs }) => jobs.map(({ name }) => name));
    expect(ran.toSorted()).toEqual(
      projects.flatMap(({ path }) => ids.map((id) => `${path}/${id}`)).toSorted(),
    );
    expect(gitlab.faultsLeft).toBe(0);
  });

  test('one takes over a dead one’s claim; the dead one, on its return, ends its own job and leaves the claim alone', async () => {
    const project = await gitlab.addProject({ path: 'a/one', files: manifest(['a']) });
    const dead = server({ leaseMs, keepRunning: true });
    const heir = server({ leaseMs, keepRunning: true });
    dead.start();
    await untilJobs(dead, 1);
    await dead.stop();
    heir.start();
    await untilJobs(heir, 1);
    const taken = await response(project);
    expect(taken?.worker).toBe(heir.worker);
    dead.start();
    await untilCounted(dead, 'lost');
    expect(dead.jobs.map(({ state }) => state)).toEqual(['CANCELLED']);
    expect((await response(project))?.nonce).toBe(taken?.nonce);
    heir.jobs[0]?.end();
    await untilReported(project);
    expect(await response(project)).toMatchObject({ status: 'COMPLETED', worker: heir.worker });
    expect([...dead.jobs, ...heir.jobs]).toHaveLength(2);
  });

  test('a live one keeps its claim for longer than a lease', async () => {
    const project = await gitlab.addProject({ path: 'a/one', files: manifest(['a']) });
    const owner = server({ leaseMs, keepRunning: true });
    owner.start();
    await untilJobs(owner, 1);
    const first = await response(project);
    const other = server({ leaseMs });
    other.start();
    await until('the lease is renewed', async () => {
      const lease = Date.parse((await response(project))?.lease_until ?? '');
      return lease > Date.parse(first?.lease_until ?? '') + 1.5 * leaseMs;
    });
    expect(other.jobs).toEqual([]);
    expect((await response(project))?.nonce).toBe(first?.nonce);
  });
});

describe('a claim', () => {
  test('continues after a crash, under the same nonce, and its job is not submitted twice', async () => {
    const project = await gitlab.addProject({ path: 'a/one', files: manifest(['a']) });
    const one = server({ keepRunning: true });
    // Claimed at the source, before this server knows the outcome.
    let open = () => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    const url = /response\.yaml/;
    gitlab.fail({ method: 'POST', url }, { kind: 'lost-reply' });
    gitlab.fail({ url, times: 1 }, { kind: 'slow', until: gate });
    one.start();
    await until('the claim is made', async () => (await response(project)) !== undefined);
    const claimed = await response(project);
    await one.stop();
    open();
    expect(one.live).toMatchObject([{ state: 'claiming', nonce: claimed?.nonce }]);

    one.start();
    await untilJobs(one, 1);
    await one.stop();
    expect(one.live).toMatchObject([{ state: 'submitted', nonce: claimed?.nonce }]);

    one.start();
    one.jobs[0]?.end();
    await untilReported(project);
    await untilCounted(one, 'done');
    expect(one.jobs).toHaveLength(1);
    expect(one.jobs[0]?.key).toBe(`ingest:gitlab:${claimed?.nonce}`);
  });

  test('is kept while its job cannot be accepted, and reported as refused if it never can', async () => {
    const project = await gitlab.addProject({ path: 'a/one', files: manifest(['a', 'b']) });
    const one = server({ maxJobs: 1 });
    one.refusals.push(
      new AppError('disk_full', 'the disk is full'),
      new Error('something else'),
      new AppError('bad_request', 'params.epochs: must be number'),
    );
    one.start();
    for (const id of ['a', 'b']) await untilReported(project, id);
    const both = [await response(project), await response(project, 'b')];
    expect(both.map((r) => r?.status).toSorted()).toEqual(['COMPLETED', 'REJECTED']);
    expect(both.map((r) => r?.message)).toContain('params.epochs: must be number');
    expect(one.jobs).toHaveLength(1);
    expect(one.counts).toMatchObject({ done: 1, failed: 1 });
    expect(one.loop?.status().errors.map(({ message }) => message)).toEqual([
      'something else',
      'the disk is full',
    ]);
  });

  test('waits while the file of job types is unusable, or does not map its type', async () => {
    const project = await gitlab.addProject({ path: 'a/one', files: manifest(['a']) });
    const one = server();
    let open = () => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    gitlab.fail({ method: 'POST', url: /response\.yaml/ }, { kind: 'slow', until: gate });
    one.start();
    await until('the claim is under way', () => one.live.length === 1);
    one.mapTypes('training: {command_key');
    open();
    const errors = () => one.loop?.status().errors.filter(({ where }) => where === 'a/one: a');
    const isTold = (why: RegExp) => errors()?.some(({ message }) => why.test(message)) ?? false;
    await until('the file is reported as unusable', () => isTold(/JR_GITLAB_JOB_TYPES: /));
    one.mapTypes('inference: shell\n');
    await until('the type is reported as unmapped', () => isTold(/job_type: "training"/));
    one.mapTypes('training: shell\n');
    await untilReported(project);
    expect(await response(project)).toMatchObject({ status: 'COMPLETED' });
  });

  test('that is refused is shown, and others are still made', async () => {
    const closed = await gitlab.addProject({ path: 'a/closed', files: manifest(['a']) });
    const open = await gitlab.addProject({ path: 'a/open', files: manifest(['a']) });
    gitlab.fail(
      { method: 'POST', url: new RegExp(`/projects/${closed.id}/`), times: Infinity },
      { kind: 'answer', status: 403, body: '{"message":"403 Forbidden"}' },
    );
    const one = server({ maxJobs: 1 });
    one.start();
    await untilReported(open);
    expect(await response(closed)).toBeUndefined();
    const [error] = one.loop?.status().errors ?? [];
    expect(error).toMatchObject({ where: 'a/closed: a' });
    expect(error?.message).toMatch(/403: 403 Forbidden/);
  });

  describe('while the database refuses writes, as on a full disk,', () => {
    /** The database itself refuses, since one test alone cannot fill the disk. */
    const refuse = ({ db }: ClaimingServer, what: string) =>
      db.exec(`DROP TRIGGER IF EXISTS full;
        CREATE TRIGGER full BEFORE ${what} BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`);
    const change = (state: string) => `UPDATE ON ingest_claims WHEN NEW.state = '${state}'`;
    const insert = 'INSERT ON ingest_claims';
    const isRefused = ({ loop }: ClaimingServer, count: number, where: string | null) =>
      until(`${count} errors of ${where} are reported`, (saw) => {
        const errors = loop?.status().errors ?? [];
        saw(errors);
        return errors.filter((one) => one.where === where).length === count;
      });

    test('is kept until each of its steps can be recorded', async () => {
      const project = await gitlab.addProject({ path: 'a/one', files: manifest(['a']) });
      const one = server({ keepRunning: true });
      refuse(one, change('claimed'));
      one.start();
      await isRefused(one, 1, 'a/one: a');
      refuse(one, change('ended'));
      await untilJobs(one, 1);
      one.jobs[0]?.end();
      await isRefused(one, 2, 'a/one: a');
      refuse(one, change('done'));
      await isRefused(one, 3, 'a/one: a');
      one.db.exec('DROP TRIGGER full');
      await untilCounted(one, 'done');
      expect(await response(project)).toMatchObject({ status: 'COMPLETED' });
      expect(one.jobs).toHaveLength(1);
    });

    test('is lost all the same when another server has it', async () => {
      const project = await gitlab.addProject({ path: 'a/one', files: manifest(['a']) });
      const one = server({ leaseMs, keepRunning: true });
      one.start();
      await untilJobs(one, 1);
      one.loop?.pause('test');
      refuse(one, change('lost'));
      await gitlab.commit(project, { 'gpu_jobs/job_a/response.yaml': null });
      await isRefused(one, 2, 'a/one: a');
      one.db.exec('DROP TRIGGER full');
      await untilCounted(one, 'lost');
      expect(one.jobs.map(({ state }) => state)).toEqual(['CANCELLED']);
    });

    test('is reported, though no later claim can be made', async () => {
      const project = await gitlab.addProject({ path: 'a/one', files: manifest(['a', 'b', 'c']) });
      const one = server({ maxJobs: 1, keepRunning: true });
      one.start();
      await until(
        'one of three jobs is submitted',
        () => one.jobs.length === 1 && one.loop?.status().found === 3,
      );
      refuse(one, insert);
      one.jobs[0]?.end();
      await untilCounted(one, 'done');
      one.db.exec('DROP TRIGGER full');
      for (const count of [2, 3]) {
        await untilJobs(one, count);
        one.jobs[count - 1]?.end();
      }
      for (const id of ['a', 'b', 'c']) await untilReported(project, id);
    });
  });

  test('that was removed ends its job', async () => {
    const project = await gitlab.addProject({ path: 'a/one', files: manifest(['a']) });
    const one = server({ leaseMs, keepRunning: true });
    one.start();
    await untilJobs(one, 1);
    one.loop?.pause('test');
    await gitlab.commit(project, { 'gpu_jobs/job_a/response.yaml': null });
    await untilCounted(one, 'lost');
    expect(one.jobs.map(({ state }) => state)).toEqual(['CANCELLED']);
  });

  test('of a job that is cancelled in the manifest ends as CANCELLED, also while the source is paused', async () => {
    const project = await gitlab.addProject({ path: 'a/one', files: manifest(['a']) });
    const one = server({ keepRunning: true });
    one.start();
    await untilJobs(one, 1);
    one.loop?.pause('test');
    await gitlab.commit(project, manifest(['a'], { canceled: true }));
    await untilReported(project);
    expect(await response(project)).toMatchObject({ status: 'CANCELLED' });
  });

  test('is made for as many of 5,000 jobs as the server may have', async () => {
    const ids = Array.from({ length: 5000 }, (_, i) => `job-${i}`);
    const project = await gitlab.addProject({ path: 'a/many', files: manifest(ids) });
    const one = server({ maxJobs: 3, keepRunning: true });
    one.start();
    await untilJobs(one, 3);
    await until('all are found', () => [5000 - 3, 5000].includes(one.loop?.status().found ?? 0));
    expect(one.jobs).toHaveLength(3);
    const claimed = gitlab.requests.filter((line) => line.startsWith('POST'));
    expect(new Set(claimed).size).toBe(3);
    one.jobs[0]?.end();
    await untilJobs(one, 4);
    expect(await response(project, 'job-0')).toBeDefined();
  });
});

test('a GitLab that does not answer is shown at the first failed try, until a scan completes', async () => {
  await gitlab.addProject({ path: 'a/one', files: {} });
  let release: () => void = () => undefined;
  const held = new Promise<void>((fulfil) => (release = fulfil));
  gitlab.fail({ url: /\/projects\?/ }, { kind: 'reset' });
  gitlab.fail({ url: /\/projects\?/ }, { kind: 'slow', until: held });
  const one = server();
  one.start();
  const status = () => one.loop?.status();
  await until('the failed try is shown', (saw) => {
    saw(status());
    return status()?.last_error !== null;
  });
  expect(status()).toMatchObject({
    last_scan: null,
    last_error: { message: expect.stringMatching(/^Unable to connect to GitLab/) },
    errors: [{ where: null }],
  });
  release();
  await until('a scan completes', () => typeof status()?.last_scan === 'number');
  await until('the error is past', (saw) => {
    saw(status());
    return status()?.last_error === null;
  });
});
