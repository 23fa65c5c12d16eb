import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { Api } from '../../src/cli/api.js';
import { listGpus } from '../../src/cli/gpus.js';
import { listJobs } from '../../src/cli/jobs.js';
import { drainNodes, endMaintenance, resumeNodes, startMaintenance } from '../../src/cli/nodes.js';
import { showStatus } from '../../src/cli/status.js';
import { deleteUsers, limitUsers } from '../../src/cli/users.js';
import type { HostsRecord } from '../../src/cluster/ssh-hosts/resolved-hosts.js';
import type { WorkerRecord } from '../../src/cluster/workers/record.js';
import { until } from '../until.js';
import { TestApi, token as ownersToken } from './api.js';

/* The `jobrunner` command over HTTP, on a cluster with a worker and an SSH host. */

const worker: WorkerRecord = {
  name: 'worker1',
  worker_id: 'f'.repeat(32),
  token_hash: '',
  cpus: 8,
  memory_mb: 16_000,
  gpus: [{ model: 'L40S', memory_mb: 46_080 }],
  joined_at: 1,
  left: false,
};
const hosts: HostsRecord = {
  hosts: [
    {
      name: 'gpu-0',
      host: '10.0.0.1',
      port: 22,
      user: 'me',
      identity_path: null,
      password_path: null,
      proxy_jump: [],
      gpus: { count: 8, type: 'H100', memory_gb: 80 },
      cpus: 8,
      memory_gb: 64,
      workdir: 'jobrunner',
      labels: {},
      leaving: false,
    },
  ],
  problem: null,
};

let api: TestApi;
beforeAll(async () => {
  const cpus = { JR_NUM_CPUS: String(availableParallelism()) };
  api = await TestApi.start({ JR_JOIN_PORT: '6899', ...cpus });
  await writeFile(api.layout.workersRecord, JSON.stringify({ workers: [worker] }));
  await writeFile(api.layout.sshHosts, JSON.stringify(hosts));
  const [here] = api.slurm.nodeList;
  if (here === undefined) throw new Error('Slurm has no node');
  api.slurm.nodeList.push(
    { ...here, name: 'worker1', partition: 'workers', gres: 'gpu:nvidia0:1' },
    { ...here, name: 'gpu-0', partition: 'ssh', gres: null },
  );
});
afterAll(() => api.close());

/** Runs a command, and returns the lines that it printed. */
async function printed(
  run: (client: Api) => Promise<void>,
  token = ownersToken,
): Promise<string[]> {
  const written: string[] = [];
  const spies = [process.stdout, process.stderr].map((stream) =>
    jest.spyOn(stream, 'write').mockImplementation((text) => {
      written.push(String(text));
      return true;
    }),
  );
  try {
    await run(new Api({ url: api.url, socket: undefined, token: () => token }));
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return written.join('').trimEnd().split('\n');
}

async function tokenOf(user: string, role = 'user'): Promise<string> {
  const { Authorization: header } = await api.tokenOf(user, role);
  return header.replace('Bearer ', '');
}

/** Starts a job of a user on a node, and waits until the API shows it there. */
async function runningOn(node: string, user: string, name: string): Promise<number> {
  const fields = { command_key: 'shell', command: 'true', name, gpus: 1 };
  const headers = user === 'admin' ? {} : await api.tokenOf(user);
  const partition = { box0: 'main', worker1: 'workers', 'gpu-0': 'ssh' }[node];
  const { json, text } = await api.call('POST', '/jobs', { ...fields, partition }, headers);
  expect(text).toContain('"job_id"');
  const { job_id: id, slurm_job_id: number } = json;
  api.slurm.placed.set(number ?? 0, { node, indices: [0], shards: 100 });
  api.slurm.start(number);
  api.slurm.job(number).nodeList = node;
  await until(`job ${id} runs`, async () => {
    const { json: job } = await api.call('GET', `/jobs/${id}`);
    return job.status === 'RUNNING' && job.gpu_indices !== null;
  });
  return id;
}

describe('jobrunner status', () => {
  let ids: number[];
  beforeAll(async () => {
    ids = [
      await runningOn('box0', 'admin', 'here'),
      await runningOn('worker1', 'alice', 'on-worker'),
      await runningOn('gpu-0', 'admin', 'on-host'),
    ];
  });

  test('shows the GPUs of this machine, of workers and of SSH hosts, with their jobs by name', async () => {
    const lines = await printed((client) => showStatus(client, {}));
    const [here, onWorker, onHost] = ids;
    expect(lines[0]).toMatch(/^NODE +GPU +MODEL +MEMORY +LOAD +TEMP +STATE +JOBS$/);
    expect(lines[1]).toMatch(new RegExp(`^box0 +0 .* in use +${here} here$`));
    expect(lines[2]).toMatch(/^box0 +1 .* free +-$/);
    expect(lines[3]).toMatch(
      new RegExp(`^worker1 +0 +L40S +45.0 GiB .* in use +${onWorker} on-worker$`),
    );
    expect(lines[4]).toMatch(
      new RegExp(`^gpu-0 +8 GPUs +H100 +80.0 GiB .* idle +${onHost} on-host$`),
    );
    expect(lines).toContain('3 running, 0 waiting');
    const places = lines.flatMap((line) => /RUNNING +100 +1 +(\S+)/.exec(line)?.[1] ?? []);
    expect(places).toEqual(['box0:0', 'worker1:0', 'gpu-0:0']);
  });

  test('shows a user the jobs of others by number alone', async () => {
    const lines = await printed((client) => showStatus(client, {}), await tokenOf('alice'));
    const [here, onWorker] = ids;
    expect(lines[1]).toMatch(new RegExp(`^box0 +0 .* in use +${here}$`));
    expect(lines[3]).toMatch(new RegExp(`^worker1 .* ${onWorker} on-worker$`));
    expect(lines.join('\n')).not.toMatch(/ here| on-host/);
  });

  test('shows a reader of the owner everything, and a reader of a user what that user sees', async () => {
    const of = async (user: string) =>
      printed((client) => showStatus(client, {}), await tokenOf(user, 'reader'));
    expect((await of('admin')).join('\n')).toMatch(/ here[^]* on-worker[^]* on-host/);
    expect((await of('alice')).join('\n')).not.toMatch(/ here| on-host/);
  });

  test('shows the pause of a worker’s GPU, and why a node takes no job', async () => {
    await api.call('POST', '/nodes/worker1/gpus/0/pause', { reason: 'new fan' });
    await api.call('POST', '/nodes/gpu-0/drain', { reason: 'new driver' });
    const lines = await printed((client) => showStatus(client, {}));
    expect(lines[3]).toMatch(/^worker1 .* paused by admin: new fan /);
    expect(lines).toContain('gpu-0 is drained: new driver; no job starts there');
    expect((await printed((client) => listGpus(client, {})))[3]).toMatch(/^worker1 .*: new fan /);
    await api.call('POST', '/nodes/worker1/gpus/0/resume');
    await api.call('POST', '/nodes/gpu-0/resume');
  });

  test('warns of more CPUs than there are, as /health does in one word', async () => {
    const many = await TestApi.start({ JR_NUM_CPUS: '4096' });
    try {
      const { json } = await many.call<{ status: string }>('GET', '/health');
      const { json: usual } = await api.call<{ status: string }>('GET', '/health');
      expect(json).toMatchObject({ status: usual.status, cpus: 'overcommitted' });
      const other = new Api({ url: many.url, socket: undefined, token: () => ownersToken });
      const lines = await printed(() => showStatus(other, {}));
      expect(lines.join('\n')).toMatch(/^WARNING: JR_NUM_CPUS /m);
    } finally {
      await many.close();
    }
    const { json } = await api.call<object>('GET', '/health');
    expect(json).toMatchObject({ cpus: 'ok', version: expect.stringMatching(/^\d+\.\d+\.\d+/) });
  });
});

describe('jobrunner jobs', () => {
  test('shows user, time, experiment, and why a job failed', async () => {
    const { json } = await api.submit({ name: 'breaks', experiment_id: 'sweep-7' });
    api.slurm.start(json.slurm_job_id);
    api.slurm.end(json.slurm_job_id, { state: 'FAILED', exitCode: 3 });
    await api.call('GET', `/jobs/${json.job_id}?wait=20`);
    const [head, first] = await printed((client) => listJobs(client, { limit: 1 }));
    expect(head).toMatch(/ SUBMITTED \(UTC\) +RAN +USER +EXPERIMENT +NAME +WHY$/);
    const day = json.submitted_at.slice(0, 10);
    expect(first).toMatch(
      new RegExp(
        `^${json.job_id} +FAILED .* ${day} \\S+ +\\ds +admin +sweep-7 +breaks +ended with`,
      ),
    );
  });

  test('lists one user’s, for those who may see them', async () => {
    await api.call(
      'POST',
      '/jobs',
      { command_key: 'shell', command: 'true' },
      await api.tokenOf('bob'),
    );
    const usersOf = (lines: string[]) =>
      lines.flatMap((line) => /\d\d:\d\d +\S+ +(\S+)/.exec(line)?.[1] ?? []);
    const list = (client: Api) => listJobs(client, { limit: 20, user: 'bob' });
    expect(usersOf(await printed(list))).toEqual(['bob']);
    expect(await printed(list, await tokenOf('alice'))).toEqual(['no jobs']);
  });

  test('says how to see more', async () => {
    const lines = await printed((client) => listJobs(client, { limit: 1 }));
    expect(lines.at(-1)).toMatch(/--before \d+$/);
  });
});

describe('jobrunner user', () => {
  const limitsOf = async (user: string) => {
    const { json } = await api.call<{ users: { user: string; limits: { max_jobs: number } }[] }>(
      'GET',
      '/users',
    );
    return json.users.find((one) => one.user === user)?.limits.max_jobs;
  };

  test('limits several users, and an unknown one only after a question', async () => {
    await tokenOf('carl');
    await tokenOf('dora');
    await printed((client) => limitUsers(client, ['carl', 'Dora'], { jobs: 4 }));
    expect([await limitsOf('carl'), await limitsOf('dora')]).toEqual([4, 4]);
    const limitNobody = (yes?: boolean) =>
      printed((client) => limitUsers(client, ['carl', 'nobody'], { jobs: 5, ...(yes && { yes }) }));
    await expect(limitNobody()).rejects.toThrow('--yes');
    expect([await limitsOf('carl'), await limitsOf('nobody')]).toEqual([4, undefined]);
    await limitNobody(true);
    expect([await limitsOf('carl'), await limitsOf('nobody')]).toEqual([5, 5]);
  });

  test('deletes users with their tokens and limits, after a question', async () => {
    const token = await tokenOf('emil');
    await api.call('PUT', '/users/fred/limits', { max_jobs: 1 });
    await expect(printed((client) => deleteUsers(client, ['emil', 'fred'], {}))).rejects.toThrow(
      '--yes',
    );
    await printed((client) => deleteUsers(client, ['emil', 'fred'], { yes: true }));
    expect([await limitsOf('emil'), await limitsOf('fred')]).toEqual([undefined, undefined]);
    const headers = { Authorization: `Bearer ${token}` };
    expect((await api.call('GET', '/users/me', undefined, headers)).status).toBe(401);
  });

  test('deletes neither the owner, nor an unknown user, nor one whose jobs wait or run', async () => {
    const body = { command_key: 'shell', command: 'true' };
    await api.call('POST', '/jobs', body, await api.tokenOf('gina'));
    const codeOf = async (user: string) => {
      const { status, json } = await api.call('DELETE', `/users/${user}`);
      return [status, json.error.code, json.error.details?.['fields']];
    };
    expect(await codeOf('admin')).toEqual([409, 'conflict', ['user']]);
    expect(await codeOf('gina')).toEqual([409, 'conflict', ['user']]);
    expect(await codeOf('none')).toEqual([404, 'not_found', ['user']]);
  });
});

describe('maintenance', () => {
  const states = async () => {
    const { json } = await api.call<{ nodes: { state: string; reason: string | null }[] }>(
      'GET',
      '/nodes',
    );
    return json.nodes.map(({ state, reason }) => (reason === null ? state : `${state}: ${reason}`));
  };

  test('drains all nodes and resumes them, but leaves a node alone that was drained before', async () => {
    await printed((client) => drainNodes(client, { names: ['gpu-0'] }, 'broken'));
    await printed((client) => startMaintenance(client, 'new driver'));
    const drained = 'drained: maintenance: new driver';
    expect(await states()).toEqual([drained, drained, 'drained: broken']);
    await printed((client) => endMaintenance(client));
    expect(await states()).toEqual(['idle', 'idle', 'drained: broken']);
    expect(await printed((client) => endMaintenance(client))).toEqual([
      'no node is drained for maintenance',
    ]);
  });

  test('takes over a drain that JobRunner would end by itself meanwhile', async () => {
    await printed((client) => drainNodes(client, { names: ['worker1'] }, 'disk: no room'));
    await printed((client) => startMaintenance(client, undefined));
    expect(await states()).toEqual([
      'drained: maintenance',
      'drained: maintenance',
      'drained: broken',
    ]);
    await printed((client) => endMaintenance(client));
    expect(await states()).toEqual(['idle', 'idle', 'drained: broken']);
  });

  test('all nodes can be drained and resumed for any reason', async () => {
    await printed((client) => drainNodes(client, { names: [], all: true }, 'moving'));
    expect(await states()).toEqual(['drained: moving', 'drained: moving', 'drained: broken']);
    await printed((client) => resumeNodes(client, { names: [], all: true }));
    expect(await states()).toEqual(['idle', 'idle', 'idle']);
    await expect(
      printed((client) => drainNodes(client, { names: ['box0'], all: true }, undefined)),
    ).rejects.toThrow('--all');
    const { json } = await api.call('POST', '/nodes/box0/drain', { reason: 'a\nb' });
    expect(json.error).toMatchObject({ code: 'bad_request', details: { fields: ['reason'] } });
  });
});
