import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../free-ports.js';
import { LiveStack } from './live-stack.js';
import { joinToken, TestWorker } from './test-worker.js';
import { until } from '../until.js';

interface ResultReply {
  outputs: { path: string; size: number; sha256: string | null; download_url: string }[];
  warnings: string[];
}

/**
 * Seconds; longer than a slow link takes for Linux's buffered part of a request.
 */
const silence = 15;

let stack: LiveStack;
let worker: TestWorker;
beforeAll(async () => {
  const [port] = await freePorts(1);
  // Longer than any cut below, so that the controller waits for the worker.
  stack = await LiveStack.start({ JR_JOIN_PORT: String(port), JR_WORKER_TIMEOUT: '600' });
  const settings = { JR_CONTROLLER_TIMEOUT: String(silence) };
  worker = await TestWorker.start(stack, joinToken(stack), settings);
  await worker.ready();
});
afterAll(async () => {
  await TestWorker.removeAll();
  await stack.remove();
});

const fields = { command_key: 'shell', mem_gb: 0.2, partition: 'workers' };
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** The link is slow here, and cut for a while. */
const slowly = { deadline: 180_000 };

async function ended(id: number) {
  await until(
    `job ${id} ends`,
    async () => {
      const { json } = await stack.call('GET', `/jobs/${id}`);
      return !['SUBMITTING', 'PENDING', 'RUNNING', 'COMPLETING'].includes(json.status);
    },
    slowly,
  );
  return stack.finish(id);
}

/** Returns the job's outputs once they have arrived, after the job's end. */
async function arrived(id: number): Promise<ResultReply> {
  return until(
    `the outputs of job ${id} come`,
    async (saw) => {
      const { json } = await stack.call<ResultReply>('GET', `/jobs/${id}/result`);
      saw(json.warnings);
      return !json.warnings.some((warning) => warning.includes('still on')) && json;
    },
    slowly,
  );
}

const agentLog = () => readFileSync(join(worker.root, 'logs', 'worker-agent.log'), 'utf8');

const sizeOf = (path: string) => (existsSync(path) ? statSync(path).size : 0);

test('a large output and ten thousand small ones arrive from a worker unchanged', async () => {
  const large = await stack.submit({
    ...fields,
    command: 'head -c 200M /dev/urandom >large.bin; sha256sum <large.bin',
  });
  const small = await stack.submit({
    ...fields,
    command: 'for i in {1..10000}; do echo $i >$i.pt; done; cat {1..10000}.pt | sha256sum',
  });
  const { log } = await ended(large.json.job_id);
  const { outputs } = await arrived(large.json.job_id);
  expect(outputs.map(({ path, size }) => [path, size])).toEqual([['large.bin', 200 * 2 ** 20]]);
  expect(`${outputs[0]?.sha256}  -\n`).toBe(log);

  const many = await ended(small.json.job_id);
  await arrived(small.json.job_id);
  const folder = join(stack.root, 'results', String(small.json.job_id));
  const all = sha256(
    Buffer.concat(
      Array.from({ length: 10_000 }, (_, i) => readFileSync(join(folder, `${i + 1}.pt`))),
    ),
  );
  expect(readdirSync(folder)).toHaveLength(10_000);
  expect(`${all}  -\n`).toBe(many.log);
});

test('a long cut of the link during transfers of a dataset, outputs and logs neither loses nor repeats a byte', async () => {
  const bytes = randomBytes(24 * 2 ** 20);
  const sha = sha256(bytes);
  await stack.call('PUT', `/datasets/${sha}?name=d.bin`, { body: bytes });
  const counting =
    'n=0; until [ -e go ]; do echo line $((++n)); sleep 0.25; done; echo last words; echo x >x.pt';
  const { json: logging } = await stack.submit({ ...fields, command: counting });
  const { json: sending } = await stack.submit({
    ...fields,
    command:
      'until [ -e go ]; do sleep 0.1; done; head -c 24M /dev/urandom >o.bin; sha256sum <o.bin',
  });
  await stack.until(logging.job_id, 'RUNNING');
  await stack.until(sending.job_id, 'RUNNING');
  // So slow that each takes most of a minute, since on a busy machine one may begin long after the
  // other.
  await worker.limitRate('5mbit');
  const { json: fetching } = await stack.submit({
    ...fields,
    command: 'sha256sum <"$JR_DATASET_FILE"; echo done',
    dataset_sha: sha,
  });
  await worker.letGo(sending.job_id);
  const incoming = join(worker.root, 'datasets', '.incoming');
  const archive = join(stack.root, 'results', '.arrivals', `${sending.job_id}.tar`);
  const fetched = () =>
    Math.max(
      0,
      ...readdirSync(incoming).map((name) => sizeOf(join(incoming, name, 'dataset/original'))),
    );
  const most = 20 * 2 ** 20;
  await until('both are half-way', () => fetched() > 2 ** 20 && sizeOf(archive) > 2 ** 20, slowly);
  const hasLog = async () => (await stack.call('GET', `/jobs/${logging.job_id}/log`)).text;
  worker.setLink('down');
  const cut = { fetched: fetched(), sent: sizeOf(archive), log: (await hasLog()).length };
  expect(Math.max(cut.fetched, cut.sent)).toBeLessThan(most);
  expect(cut.log).toBeGreaterThan(0);
  const before = { tx: worker.bytes('tx'), rx: worker.bytes('rx') };
  const broken = () => agentLog().split('trying again').length;
  const brokenBefore = broken();
  await until('the dataset’s connection counts as broken', () => broken() > brokenBefore, slowly);
  // Received bytes are kept; bytes in the sockets may still have been written after the cut.
  expect(sizeOf(archive)).toBeGreaterThanOrEqual(cut.sent);
  expect(sizeOf(archive)).toBeLessThan(most);
  await worker.limitRate(undefined);
  worker.setLink('up');
  await worker.letGo(logging.job_id);

  expect((await ended(fetching.job_id)).log).toBe(`${sha}  -\ndone\n`);
  // No byte has crossed the link twice.
  expect(worker.bytes('tx') - before.tx).toBeLessThan(bytes.length - cut.fetched + 4 * 2 ** 20);
  const { log } = await ended(sending.job_id);
  const { outputs } = await arrived(sending.job_id);
  expect(`${outputs[0]?.sha256}  -\n`).toBe(log);
  expect(worker.bytes('rx') - before.rx).toBeLessThan(24 * 2 ** 20 - cut.sent + 12 * 2 ** 20);
  const logged = await ended(logging.job_id);
  const count = logged.log.split('\n').length - 2;
  const lines = Array.from({ length: count }, (_, i) => `line ${i + 1}\n`).join('');
  expect(logged).toMatchObject({ status: 'COMPLETED', log: `${lines}last words\n` });
  expect(logged.log.length).toBeGreaterThan(cut.log);
  expect((await arrived(logging.job_id)).outputs.map(({ path }) => path)).toEqual(['x.pt']);
  for (const { job_id } of [fetching, sending, logging])
    await until(
      'nothing is left there',
      () => !existsSync(join(worker.root, 'results', String(job_id))),
    );
}, 400_000);
