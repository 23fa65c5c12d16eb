import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ExpiredLeases } from '../../src/ingest/expired-leases.js';
import { GitLabClient } from '../../src/ingest/gitlab/client.js';
import { JobScan } from '../../src/ingest/gitlab/job-scan.js';
import { claimedResponse } from '../../src/ingest/gitlab/response.js';
import { FakeClock } from './fake-clock.js';
import { GitLabStandIn } from './stand-in.js';

jest.setTimeout(60_000);

const leaseMs = 15 * 60_000;

let gitlab: GitLabStandIn;
let folder: string;
let now: number;

beforeEach(async () => {
  gitlab = await GitLabStandIn.start();
  folder = mkdtempSync(join(tmpdir(), 'jr-job-scan-'));
  writeFileSync(join(folder, 'types.yaml'), 'training: shell\n');
  now = Date.now();
});

afterEach(async () => {
  rmSync(folder, { recursive: true });
  await gitlab.close();
});

function jobScan(): JobScan {
  const { url, token } = gitlab;
  return new JobScan({
    client: new GitLabClient({ url, token, clock: new FakeClock(), maxRetries: 0 }),
    expired: new ExpiredLeases(leaseMs, () => now),
    isOurs: () => false,
    jobTypesFile: join(folder, 'types.yaml'),
    projects: [],
  });
}

async function keysOf(scan: JobScan): Promise<string[]> {
  const keys: string[] = [];
  const notes = { problem: () => undefined, cancelled: () => undefined };
  for await (const { key } of scan.run(notes, new AbortController().signal)) keys.push(key);
  return keys;
}

test('a dead server’s job is found however rare the scans are', async () => {
  const claim = { worker: 'dead', nonce: 'n', leaseUntil: now - 1000 };
  const at = new Date(now).toISOString();
  const project = await gitlab.addProject({
    path: 'a/one',
    files: {
      'gpu_jobs/manifest.yaml': 'version: 1\njobs: [{job_id: a, job_type: training}]\n',
      'gpu_jobs/job_a/response.yaml': claimedResponse('a', claim, { jobId: null, state: null }, at),
    },
  });
  const scan = jobScan();
  expect(await keysOf(scan)).toEqual([]);
  now += 10 * leaseMs;
  expect(await keysOf(scan)).toEqual([`${project.id}/a`]);
});
