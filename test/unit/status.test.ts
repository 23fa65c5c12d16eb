import { afterEach, expect, jest, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Api } from '../../src/cli/api.js';
import { showStatus } from '../../src/cli/jobs.js';
import { viewJob, type JobReply } from '../../src/jobs/job-view.js';
import { jobOf } from './plain-job.js';
import { plainRequest } from './script-support.js';

const job: JobReply = viewJob({ ...jobOf(plainRequest), state: 'PENDING' }, null, true);

afterEach(() => {
  jest.restoreAllMocks();
});

test('jobrunner status counts all waiting jobs, and shows the next ones to start', async () => {
  const waiting = 2500;
  // Lists like the API: newest first, below `before`.
  const server = createServer((req, res) => {
    const { pathname, searchParams } = new URL(req.url ?? '', 'http://localhost');
    if (pathname === '/gpus') return res.end('{"gpus":[]}');
    const isAsked = searchParams.get('state') === 'PENDING';
    const newest = Number(searchParams.get('before') ?? waiting + 1) - 1;
    const length = isAsked ? Math.min(newest, Number(searchParams.get('limit'))) : 0;
    const jobs = Array.from({ length }, (_, i) => ({ ...job, job_id: newest - i }));
    return res.end(JSON.stringify({ jobs }));
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
  expect(text).toContain(`0 running, ${waiting} waiting`);
  expect(text.match(/^\d+(?= +PENDING)/gm)).toEqual(
    Array.from({ length: 20 }, (_, i) => `${i + 1}`),
  );
});
