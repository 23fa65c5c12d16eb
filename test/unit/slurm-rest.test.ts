import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { errorIn } from '../../src/cluster/slurm/rest/errors.js';
import type { SlurmJob, SlurmRecord } from '../../src/cluster/slurm/job-record.js';
import * as jobs from '../../src/cluster/slurm/rest/jobs.js';
import { parseRestNodes } from '../../src/cluster/slurm/rest/nodes.js';
import { parseRestPartitions } from '../../src/cluster/slurm/rest/partitions.js';
import type { UnreadField } from '../../src/cluster/slurm/rest/read.js';
import { submitBody } from '../../src/cluster/slurm/submit/slurmrestd.js';
import { expiryOf, userOf } from '../../src/cluster/slurm/rest/token.js';
import { chooseVersion } from '../../src/cluster/slurm/rest/version.js';

/** The replies of two real servers. */
const recorded = (release: string) =>
  JSON.parse(readFileSync(`test/unit/recorded/slurmrestd-${release}.json`, 'utf8')) as Record<
    'jobs' | 'history' | 'nodes' | 'partitions',
    unknown
  >;

function unread(field: UnreadField): never {
  throw new Error(`${field.kind} ${field.name}: ${field.field} ${field.why}`);
}
const isRead = (record: SlurmRecord): record is SlurmJob => !('isUnread' in record);
const parseJobs = (reply: unknown, user: string) =>
  jobs.parseJobs(reply, user, unread).filter(isRead);
const parseHistory = (reply: unknown, user: string) =>
  jobs.parseHistory(reply, user, unread).filter(isRead);

describe.each(['22.05.8', '24.11.5'])('slurmrestd of %s', (release) => {
  const replies = recorded(release);

  test('reports the states, ends and nodes of jobs, for the requested user only', () => {
    const found = parseJobs(replies.jobs, 'runner');
    expect(found.map(({ state, reason }) => [state, reason])).toEqual([
      ['FAILED', 'NonZeroExitCode'],
      ['RUNNING', null],
      ['PENDING', 'JobHeldUser'],
    ]);
    expect(found[0]).toMatchObject({ exitCode: 3, signal: 0, nodeList: 'g1', comment: 'jr-x1' });
    expect(found[0]?.endedAt).toBeGreaterThanOrEqual(found[0]?.startedAt ?? Infinity);
    expect(found[2]).toMatchObject({ startedAt: null, nodeList: null });
    expect(parseJobs(replies.jobs, 'somebody')).toEqual([]);
    const [pending, ...others] = jobs.parsePendingJobs(replies.jobs, unread);
    expect(others).toEqual([]);
    expect(pending).toMatchObject({ partitions: ['gpu'], priority: 0, reason: 'JobHeldUser' });
  });

  test('reports the working folder of past jobs, which identifies them without a comment', () => {
    const history = parseHistory(replies.history, 'runner');
    expect(history.map(({ comment }) => comment)).toEqual(['', '']);
    const found = history.find(({ workDir }) => workDir === '/srv/w');
    // By then, 22.05 has forgotten the exit code.
    const exitCode = release === '22.05.8' ? 0 : 3;
    expect(found).toMatchObject({ state: 'FAILED', exitCode, nodeList: 'g1' });
    expect(parseHistory(replies.history, 'somebody')).toEqual([]);
  });

  test('reports nodes once for each partition, with their GPUs', () => {
    const nodes = parseRestNodes(replies.nodes, unread);
    expect(nodes.map(({ name, partition }) => `${name} ${partition}`)).toEqual([
      'c1 cpu',
      'c1 all',
      'g1 gpu',
      'g1 all',
    ]);
    expect(nodes[0]).toMatchObject({ state: 'idle', cpus: 8, memoryMb: 8000, gres: null });
    expect(nodes[2]).toMatchObject({ gres: 'gpu:a100:2', reason: null });
  });

  test('reports the limits of partitions', () => {
    const [cpu, gpu, all] = parseRestPartitions(replies.partitions, unread);
    expect(cpu).toMatchObject({ name: 'cpu', maxTime: 7200, defaultTime: 600, maxMemoryMb: null });
    expect(gpu).toMatchObject({ maxTime: 3600, defaultTime: null, maxMemoryMb: 3000 });
    expect(all).toMatchObject({ maxTime: 'UNLIMITED', state: 'UP', maxCpus: null });
  });
});

test('22.05 reports the default partition, and 24.11 does not', () => {
  const ofCpu = (release: string) =>
    parseRestPartitions(recorded(release).partitions, unread)[0]?.isDefault;
  expect(ofCpu('22.05.8')).toBe(true);
  expect(ofCpu('24.11.5')).toBeNull();
});

test('of the offered versions, the best known one is used', () => {
  const offer = (...versions: string[]) => ({
    paths: Object.fromEntries(versions.map((v) => [`/slurm/${v}/job/submit`, {}])),
  });
  expect(chooseVersion(offer('v0.0.36', 'v0.0.37', 'v0.0.38')).version).toBe('v0.0.38');
  expect(chooseVersion(offer('v0.0.40', 'v0.0.41', 'v0.0.42')).version).toBe('v0.0.42');
  expect(chooseVersion(offer('v0.0.99'))).toMatchObject({
    version: undefined,
    offered: ['v0.0.99'],
  });
});

test('a job is submitted with plain numbers to old servers, and with typed ones to new servers', () => {
  const spec = {
    jobId: 1,
    user: 'runner',
    mayBeRemote: false,
    constraint: undefined,
    comment: 'c',
    account: undefined,
    name: 'n',
    cpus: 2,
    memoryMb: 100,
    gres: 'gpu:a100:1',
    nice: 5,
    timeLimit: 61,
    workDir: '/r',
    logPath: '/l',
    partition: undefined,
  } as const;
  const defaults = { account: 'phys', qos: undefined };
  expect(submitBody('v0.0.38', spec, 's', defaults)).toMatchObject({
    script: 's',
    job: { memory_per_node: 100, time_limit: 2, gres: 'gpu:a100:1', account: 'phys' },
  });
  expect(submitBody('v0.0.42', { ...spec, timeLimit: 'UNLIMITED' }, 's', defaults)).toMatchObject({
    job: {
      memory_per_node: { set: true, number: 100 },
      time_limit: { infinite: true },
      tres_per_node: 'gres/gpu:a100:1',
      requeue: false,
    },
  });
});

test('errors are distinguished by whether the request may have been done', () => {
  const kind = (status: number, ...numbers: number[]) =>
    errorIn(status, { errors: numbers.map((error_number) => ({ error_number, error: 'e' })) })
      ?.kind;
  expect(kind(200)).toBeUndefined();
  // "Nothing found with query": an empty list.
  expect(kind(500, 9003)).toBeUndefined();
  expect(kind(502, 1800)).toBe('unreachable');
  expect(kind(511, 1007)).toBe('unreachable');
  expect(kind(500, -1)).toBe('unanswered');
  expect(kind(500, 2051)).toBe('refused');
  expect(kind(500, 2050)).toBe('busy');
  expect(errorIn(401, 'Authentication failure')?.message).toMatch(/rejects the token/);
});

test('a token shows its expiry and user, and any other text shows neither', () => {
  const payload = Buffer.from('{"exp":100,"iat":1,"sun":"ada"}').toString('base64url');
  const token = `eyJhbGciOiJIUzI1NiJ9.${payload}.c2ln`;
  expect([expiryOf(token), userOf(token)]).toEqual([100_000, 'ada']);
  expect([expiryOf('a.b.c'), userOf('x')]).toEqual([undefined, undefined]);
});
