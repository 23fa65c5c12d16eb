import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../free-ports.js';
import { LiveStack } from './live-stack.js';
import { makeRoot } from './prepared-root.js';
import { joinToken, TestWorker } from './test-worker.js';

const MiB = 2 ** 20;

let stack: LiveStack;
let worker: TestWorker;
/** A separate disk of 32 MiB. */
let disk: string;
beforeAll(async () => {
  const [port] = await freePorts(1);
  stack = await LiveStack.start({ JR_JOIN_PORT: String(port) });
  const root = await makeRoot();
  disk = join(root, 'datasets');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', disk]);
  worker = await TestWorker.start(stack, joinToken(stack), { JR_CACHE_GB: '0.01' }, root);
  await worker.ready();
});
afterAll(async () => {
  await worker.leave();
  execFileSync('umount', [disk]);
  await TestWorker.removeAll();
  await stack.remove();
});

async function upload(megabytes: number): Promise<string> {
  const body = randomBytes(megabytes * MiB);
  const sha = createHash('sha256').update(body).digest('hex');
  await stack.call('PUT', `/datasets/${sha}?name=d.bin`, { body });
  return sha;
}

const isThere = (sha: string) => existsSync(join(disk, sha.slice(0, 2), sha, 'original'));
const use = (sha: string) =>
  stack.shell('sha256sum <"$JR_DATASET_FILE"', { partition: 'workers', dataset_sha: sha });

test('datasets on a worker keep to their limit: the least recently used are removed, but none in use', async () => {
  const [a, b, c, d] = [await upload(4), await upload(4), await upload(4), await upload(4)];
  for (const sha of [a, b, a, c]) expect((await use(sha)).log).toBe(`${sha}  -\n`);
  expect([a, b, c].map(isThere)).toEqual([true, false, true]);

  const { json } = await stack.submit({
    ...{ command_key: 'shell', mem_gb: 0.2, partition: 'workers', dataset_sha: a },
    command: 'echo on; until [ -e go ]; do sleep 0.1; done; sha256sum <"$JR_DATASET_FILE"',
  });
  await stack.until(json.job_id, 'RUNNING');
  for (const sha of [c, d]) expect((await use(sha)).log).toBe(`${sha}  -\n`);
  expect([a, c, d].map(isThere)).toEqual([true, false, true]);
  await worker.letGo(json.job_id);
  expect((await stack.finish(json.job_id)).log).toBe(`on\n${a}  -\n`);
});

test('a dataset above the worker’s limit ends its job with the reason', async () => {
  const sha = await upload(12);
  const ended = await use(sha);
  expect(ended).toMatchObject({ status: 'FAILED', exit_code: 2 });
  expect(ended.log).toMatch(/could not fetch .*JR_CACHE_GB: .*\b0\.0117 GiB .*\b0\.0100 GiB/);
});

test('on a worker’s full disk, other datasets make room; when none is left, the job ends with the reason', async () => {
  const [a, b] = [await upload(4), await upload(4)];
  await use(a);
  // Other files there: room for two more MiB is left.
  const filler = join(disk, 'filler');
  const others = execFileSync('du', ['-s', '--block-size=1', disk], { encoding: 'utf8' });
  writeFileSync(filler, Buffer.alloc(30 * MiB - Number(others.split('\t')[0])));
  expect((await use(b)).log).toBe(`${b}  -\n`);
  expect([a, b].map(isThere)).toEqual([false, true]);
  // More than the room without all others.
  const c = await upload(8);
  const ended = await use(c);
  expect(ended).toMatchObject({ status: 'FAILED', exit_code: 2 });
  expect(ended.log).toMatch(/could not fetch .*disk .*\b0\.00781 GiB/);
  rmSync(filler);
  expect((await use(c)).log).toBe(`${c}  -\n`);
});
