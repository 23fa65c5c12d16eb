import { describe, expect, test } from '@jest/globals';
import type { Job } from '../../src/jobs/job.js';
import { askAccounting, recordFinder } from '../../src/jobs/slurm-records.js';
import type { SlurmJob, SlurmRecord } from '../../src/cluster/slurm/job-record.js';
import { restClient } from '../../src/cluster/slurm/rest/client.js';
import { SlurmError } from '../../src/cluster/slurm/command.js';
import { errorIn } from '../../src/cluster/slurm/rest/errors.js';
import * as jobs from '../../src/cluster/slurm/rest/jobs.js';
import { parseRestNodes } from '../../src/cluster/slurm/rest/nodes.js';
import { parseRestPartitions } from '../../src/cluster/slurm/rest/partitions.js';
import type { UnreadField } from '../../src/cluster/slurm/rest/read.js';
import { chooseVersion } from '../../src/cluster/slurm/rest/version.js';

function unread(field: UnreadField): never {
  throw new Error(`${field.kind} ${field.name}: ${field.field} ${field.why}`);
}
const isRead = (record: SlurmRecord): record is SlurmJob => !('isUnread' in record);
const parseJobs = (reply: unknown, user: string) =>
  jobs.parseJobs(reply, user, unread).filter(isRead);

describe('an unknown format in slurmrestd’s replies', () => {
  const running = {
    ...{ job_id: 7, job_state: ['RUNNING'], user_name: 'runner', comment: 'jr-x', nodes: 'g1' },
    exit_code: { return_code: { set: false, infinite: false, number: 0 } },
  };
  const job = { job_id: 1, slurm_job_id: 7, comment: 'jr-x' } as Job;
  const read = (...records: unknown[]) => {
    const told: string[] = [];
    const tell = ({ kind, name, field, why }: UnreadField) =>
      told.push(`${kind} ${name}: ${field} ${why}`);
    return { told, find: recordFinder(jobs.parseJobs({ jobs: records }, 'runner', tell)) };
  };

  test('in somebody else’s job hides none of our jobs, and is not reported', () => {
    const { told, find } = read({ user_name: 'eve', job_id: {}, job_state: 7 }, running);
    expect(find(job)).toMatchObject({ slurmJobId: 7, state: 'RUNNING' });
    expect(told).toEqual([]);
  });

  test('in an optional field of our job leaves that field out', () => {
    const { told, find } = read({ ...running, start_time: 'soon', state_reason: ['a'] });
    expect(find(job)).toMatchObject({ state: 'RUNNING', startedAt: null, reason: null });
    expect(told).toEqual([
      'job 7: state_reason is an unexpected list',
      'job 7: start_time is an unexpected string',
    ]);
  });

  test.each([
    [{ job_state: ['DREAMING'] }, /^job 7: job_state is unknown \(.*DREAMING\)$/],
    [{ job_state: { base: 'RUNNING' } }, /^job 7: job_state is an unexpected object$/],
    [{ job_state: undefined }, /^job 7: job_state is unknown/],
    [{ nodes: 4 }, /^job 7: nodes is an unexpected number$/],
    [{ job_id: [7] }, /^job : job_id is an unexpected list$/],
    [{ comment: 5, job_state: 0 }, /^job 7: job_state is an unexpected number$/],
  ])('in a required field of our job does not end the job: %j', (fields, message) => {
    const { told, find } = read({ ...running, ...fields }, { ...running, job_id: 8, comment: 'y' });
    expect(told[0]).toMatch(message);
    expect(find(job)).toBe('comment' in fields ? undefined : 'unread');
    expect(find({ ...job, slurm_job_id: 8, comment: 'y' })).toMatchObject({ state: 'RUNNING' });
    expect(find({ ...job, slurm_job_id: 9, comment: 'z' })).toBeUndefined();
  });

  test('that hides a job’s identity may stand for any of our jobs that is not seen otherwise', () => {
    const { find } = read('nonsense', { ...running, job_id: 8, comment: 'y' });
    expect(find(job)).toBe('unread');
    expect(find({ ...job, slurm_job_id: null })).toBe('unread');
    expect(find({ ...job, slurm_job_id: 8, comment: 'y' })).toMatchObject({ slurmJobId: 8 });
  });

  test('in a past job’s record does not end the job that began in its folder', async () => {
    const record = { job_id: 7, state: { current: 'ODD' }, working_directory: '/r/1' };
    const history = jobs.parseHistory({ jobs: [record] }, 'runner', () => undefined);
    const slurm = {
      history: () => Promise.resolve(history),
      historyOf: () => Promise.resolve(history),
    };
    const find = await askAccounting(slurm, [job], (id) => `/r/${id}`);
    expect(find(job)).toBe('unread');
    expect(find({ ...job, job_id: 2 } as Job)).toBeUndefined();
  });

  test('in a node or partition leaves out that record, or its optional field', () => {
    const told: string[] = [];
    const tell = ({ kind, name, field }: UnreadField) => told.push(`${kind} ${name}: ${field}`);
    const node = { name: 'a', partitions: 'p,q', cpus: 8, real_memory: 1000, gres: 'gpu:1' };
    const nodes = [node, { ...node, name: 'b', alloc_cpus: 'x' }, { ...node, cpus: null }];
    expect(parseRestNodes({ nodes }, tell).map(({ name, partition }) => [name, partition])).toEqual(
      ['a', 'b'].flatMap((name) => ['p', 'q'].map((partition) => [name, partition])),
    );
    const maximums = { time: 'Infinity', cpus_per_node: null, partition_memory_per_node: 'x' };
    const partitions = [{ name: 'p', partition: 'x', maximums }, { maximums }];
    expect(parseRestPartitions({ partitions }, tell)).toMatchObject([
      { name: 'p', state: 'UP', maxTime: 'UNLIMITED', maxCpus: null, maxMemoryMb: null },
    ]);
    expect([...new Set(told)]).toEqual([
      'node b: alloc_cpus',
      'node a: cpus',
      'partition p: partition',
      'partition p: maximums.partition_memory_per_node',
      'partition : name',
      'partition : maximums.partition_memory_per_node',
    ]);
  });

  test('is reported once for each field, without any value', async () => {
    const told: UnreadField[] = [];
    const records = [7, 8, 9].map((id) => ({
      ...running,
      job_id: id,
      job_state: { my: 'secret' },
    }));
    const client = restClient({
      ...{ version: 'v0.0.42', hasAccounting: true, user: 'runner' },
      ask: () => Promise.resolve({ jobs: records }),
      onUnread: (field) => told.push(field),
    });
    await client.queue();
    await client.queue();
    expect(told).toMatchObject([{ kind: 'job', name: '7', field: 'job_state' }]);
    expect(JSON.stringify(told)).not.toContain('secret');
  });

  test('of the whole reply is an error that names the field, not an empty list', async () => {
    const replying = (reply: unknown) =>
      restClient({
        ...{ version: 'v0.0.42', hasAccounting: true, user: 'runner' },
        ask: () => Promise.resolve(reply),
        onUnread: unread,
      });
    const fault = { kind: 'unanswered', message: /reply cannot be read: jobs is missing/ };
    await expect(replying({}).queue()).rejects.toMatchObject({
      ...fault,
      message: expect.stringMatching(fault.message),
    });
    await expect(replying({}).historyOf([7])).rejects.toMatchObject({ kind: 'unanswered' });
    await expect(replying({ jobs: {} }).history(0)).rejects.toMatchObject({ kind: 'unanswered' });
    await expect(replying({ jobs: null }).queue()).resolves.toEqual([]);
  });
});

test('slurmctld’s refusal of a job is an error, though slurmrestd reports none', async () => {
  const client = (reply: unknown) =>
    restClient({
      ...{ version: 'v0.0.42', hasAccounting: true, user: 'runner', onUnread: unread },
      ask: () => Promise.resolve(reply),
    });
  const result = (error_code: number, error: string) => ({ job_id: 7, error_code, error, why: '' });
  const refused = { errors: [], results: [result(0, ''), result(2002, 'Access denied')] };
  await expect(client(refused).hold(7)).rejects.toMatchObject({
    ...{ kind: 'refused', message: 'Access denied' },
  });
  const status = [{ error: { code: 2017, string: 'Invalid job id specified' } }];
  await expect(client({ status }).cancel(7)).rejects.toMatchObject({ kind: 'refused' });
  for (const reply of [{}, { results: null }, { results: [result(0, 'No error')] }])
    await expect(client(reply).release(7)).resolves.toBeUndefined();
});

test('a slurmrestd without the names of the external cluster’s users still reports our jobs', () => {
  const record = { job_id: 7, job_state: 'RUNNING', comment: 'c', nodes: 'n', exit_code: 0 };
  const names = [undefined, null, '', 'runner', 'eve'];
  const reply = { jobs: names.map((user_name, at) => ({ ...record, user_name, job_id: at })) };
  expect(parseJobs(reply, 'runner').map((job) => job.slurmJobId)).toEqual([0, 1, 2, 3]);
});

test('numbers and exit codes are read in every version’s format, also COMPLEX values', () => {
  const ended = (exit_code: unknown, job_state: unknown = 'FAILED') =>
    parseJobs({ jobs: [{ job_id: 1, job_state, exit_code, nodes: 'n', comment: 'c' }] }, 'u')[0];
  const plain = { exitCode: 3, signal: 0 };
  expect(ended(3 << 8)).toMatchObject(plain);
  expect(ended({ set: true, infinite: false, number: 3 << 8 })).toMatchObject(plain);
  expect(ended({ return_code: 3, signal: { signal_id: 0, name: 'NONE' } })).toMatchObject(plain);
  expect(ended({ return_code: { set: true, number: 3 }, signal: null })).toMatchObject(plain);
  expect(ended({ return_code: null, signal: { id: 9 } })).toMatchObject({ exitCode: 0, signal: 9 });
  expect(ended(0, ['PENDING', 'EXPEDITING'])).toMatchObject({ state: 'EXPEDITING' });
  expect(ended(0, ['RUNNING', 'COMPLETING'])).toMatchObject({ state: 'COMPLETING' });
});

test('a server without slurmdbd offers no accounting, and a server with an absent slurmdbd does', async () => {
  const paths = { '/slurm/v0.0.42/job/submit': {} };
  expect(chooseVersion({ paths }).hasAccounting).toBe(false);
  const withDbd = { ...paths, '/slurmdb/v0.0.41/jobs/': {} };
  expect(chooseVersion({ paths: withDbd }).hasAccounting).toBe(false);
  const offer = chooseVersion({ paths: { ...withDbd, '/slurmdb/v0.0.42/jobs/': {} } });
  expect(offer.hasAccounting).toBe(true);
  const noDatabase = { errors: [{ error_number: 7000, error: 'Unable to connect to database' }] };
  const client = (hasAccounting: boolean) =>
    restClient({
      ...{ version: 'v0.0.42', hasAccounting, user: 'runner', onUnread: unread },
      ask: () =>
        Promise.reject(errorIn(200, noDatabase) ?? new SlurmError('refused', 'no error in it')),
    });
  await expect(client(true).historyOf([1])).rejects.toMatchObject({ kind: 'unreachable' });
  await expect(client(true).history(0)).rejects.toMatchObject({ kind: 'unreachable' });
  expect(await client(false).historyOf([1])).toEqual([]);
});
