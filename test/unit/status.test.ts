import { afterEach, expect, jest, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Api } from '../../src/cli/api.js';
import { duration } from '../../src/cli/jobs.js';
import { showStatus } from '../../src/cli/status.js';
import type { Health } from '../../src/cluster/health-reply.js';
import { viewJob, type JobReply } from '../../src/jobs/job-view.js';
import { jobOf } from './plain-job.js';
import { plainRequest } from './script-support.js';

const job: JobReply = viewJob({ ...jobOf(plainRequest), state: 'PENDING' }, null, true);

const health: Health = {
  ...{ status: 'down', version: '1.0.0', slurmctld: 'down', slurmdbd: 'down', node: 'unknown' },
  ...{ not_answering: ['box0'], drained_nodes: [], cpus: 'overcommitted' },
  ...{ disk: 'full', database: 'failed' },
};

afterEach(() => {
  jest.restoreAllMocks();
});

test('jobrunner status counts all waiting jobs, shows the next ones to start, and all that is wrong', async () => {
  const waiting = 2500;
  // Lists like the API: newest first, below `before`.
  const server = createServer((req, res) => {
    const { pathname, searchParams } = new URL(req.url ?? '', 'http://localhost');
    if (pathname === '/gpus') return res.end('{"gpus":[]}');
    if (pathname === '/health') return res.writeHead(503).end(JSON.stringify(health));
    if (pathname === '/nodes')
      return res.writeHead(503).end('{"error":{"message":"Slurm does not answer"}}');
    const isAsked = searchParams.get('state') === 'PENDING';
    const newest = Number(searchParams.get('before') ?? waiting + 1) - 1;
    const length = isAsked ? Math.min(newest, Number(searchParams.get('limit'))) : 0;
    const jobs = Array.from({ length }, (_, i) => ({ ...job, job_id: newest - i }));
    const last = jobs.at(-1)?.job_id ?? 1;
    return res.end(JSON.stringify({ jobs, next_before: last > 1 ? last : null }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const written: string[] = [];
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await showStatus(new Api({ url, socket: undefined, token: () => 'a-token' }), {});
  } finally {
    server.close();
    server.closeAllConnections();
  }
  const text = written.join('');
  expect(text.match(/^WARNING: /gm)).toHaveLength(6);
  expect(text).toContain('the nodes are unknown: Slurm does not answer');
  expect(text).toContain(`0 running, ${waiting} waiting`);
  expect(text.match(/^\d+(?= +PENDING)/gm)).toEqual(
    Array.from({ length: 20 }, (_, i) => `${i + 1}`),
  );
});

test.each([
  [0, '0s'],
  [59, '59s'],
  [187, '3m 07s'],
  [7500, '2h 05m'],
  [93_600, '1d 02h'],
])('%d seconds are shown as %s', (seconds, shown) => {
  expect(duration(seconds)).toBe(shown);
});
