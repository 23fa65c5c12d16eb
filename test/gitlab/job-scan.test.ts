import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ExpiredLeases } from '../../src/ingest/expired-leases.js';
import { GitLabClient } from '../../src/ingest/gitlab/client.js';
import { JobScan } from '../../src/ingest/gitlab/job-scan.js';
import { claimedResponse } from '../../src/ingest/gitlab/response.js';
import { FakeClock } from './fake-clock.js';
import { GitLabStandIn } from './stand-in.js';

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
    commandKeys: () => Promise.resolve(['shell']),
    projects: [],
  });
}

async function found(scan: JobScan): Promise<{ keys: string[]; problems: string[] }> {
  const keys: string[] = [];
  const problems: string[] = [];
  const notes = {
    problem: (where: string, message: string) => void problems.push(`${where}: ${message}`),
    retrying: (message: string) => void problems.push(message),
    cancelled: () => undefined,
  };
  for await (const { key } of scan.run(notes, new AbortController().signal)) keys.push(key);
  return { keys, problems };
}

test('a dead server’s job is found however rarely the server scans', async () => {
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
  expect((await found(scan)).keys).toEqual([]);
  now += 10 * leaseMs;
  expect((await found(scan)).keys).toEqual([`${project.id}/a`]);
});

test('of very many jobs with an unmapped type, some are reported, and the rest is counted', async () => {
  const jobs = Array.from({ length: 20_000 }, (_, id) => ({ job_id: id, job_type: 'unknown' }));
  await gitlab.addProject({
    path: 'a/one',
    files: { 'gpu_jobs/manifest.yaml': JSON.stringify({ version: 1, jobs }) },
  });
  const { keys, problems } = await found(jobScan());
  expect(keys).toEqual([]);
  expect(problems).toHaveLength(101);
  expect(problems[0]).toMatch(/^a\/one: 0: job_type: "unknown"/);
  expect(problems[100]).toMatch(/^a\/one: job_type: .*\b19900\b/);
});
