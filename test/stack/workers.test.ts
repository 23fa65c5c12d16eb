import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { alternatingLines, printAlternating } from '../alternating-lines.js';
import { freePorts } from '../free-ports.js';
import { LiveStack } from './live-stack.js';
import { joinToken, TestWorker } from './test-worker.js';
import { refusal } from '../refusal.js';
import { until } from '../until.js';

interface ResultReply {
  outputs: { path: string; size: number; sha256: string | null; download_url: string }[];
  warnings: string[];
}
interface GpusReply {
  workers: { node: string; gpus: { index: number; jobs: { job_id: number }[] }[] }[];
}
interface NodesReply {
  nodes: { name: string; state: string; partition: string; cpus: number }[];
}

let stack: LiveStack;
let worker: TestWorker;
let folder: string;
beforeAll(async () => {
  const [port] = await freePorts(1);
  folder = mkdtempSync(join(tmpdir(), 'jr-workers-'));
  stack = await LiveStack.start({
    JR_JOIN_PORT: String(port),
    // Far longer than the cuts below, also on a busy machine.
    JR_WORKER_TIMEOUT: '20',
    JR_JOIN_TOKEN_FILE: join(folder, 'token'),
  });
  worker = await TestWorker.start(stack, joinToken(stack));
  await worker.ready();
});
afterAll(async () => {
  await TestWorker.removeAll();
  await stack.remove();
  rmSync(folder, { recursive: true });
});

const onWorker = { partition: 'workers' };
const result = async (id: number) =>
  (await stack.call<ResultReply>('GET', `/jobs/${id}/result`)).json;
const node = async (name: string) =>
  (await stack.call<NodesReply>('GET', '/nodes')).json.nodes.find((one) => one.name === name);

/** Returns the job's outputs once they have arrived, after the job's end. */
async function arrived(id: number): Promise<ResultReply> {
  return until(`the outputs of job ${id} come`, async (saw) => {
    const reply = await result(id);
    saw(reply.warnings);
    return !reply.warnings.some((warning) => warning.includes('still on')) && reply;
  });
}

test('a job on a worker cannot connect to the daemons there', async () => {
  const connect = 'print IO::Socket::INET->new("127.0.0.1:$ARGV[0]") ? "connected\\n" : "$!\\n"';
  const command = `port=$(sed -n 's/^SlurmdPort=//p' "$SLURM_CONF"); perl -MIO::Socket::INET -e '${connect}' "$port"`;
  expect((await stack.shell(command, onWorker)).log).toBe('Connection refused\n');
});

test('a job runs on a worker: its log arrives meanwhile, its outputs at the end, and nothing of it stays there', async () => {
  const command = [
    'echo "on $SLURMD_NODENAME with $CUDA_VISIBLE_DEVICES, $JR_GPU_MEM_MB MiB"; echo odd >&2',
    'mkdir -p deep/er; echo weights > deep/er/a.pt; ln -s deep/er/a.pt link.pt; ln -s /etc/passwd out.pt',
    'until [ -e go ]; do sleep 0.1; done; echo last words',
  ].join('\n');
  const { json } = await stack.submit({
    ...{ command_key: 'shell', command, gpus: 2, mem_gb: 0.2, ...onWorker },
  });
  const id = json.job_id;
  const log = async () => (await stack.call('GET', `/jobs/${id}/log`)).text;
  await until('its first line is here while it runs', async () => (await log()).includes('odd'));
  await stack.until(id, 'RUNNING');
  await until('its GPUs are shown', async () => {
    const { workers } = (await stack.call<GpusReply>('GET', '/gpus')).json;
    const [first] = workers;
    const inUse = first?.gpus.filter((gpu) => gpu.jobs.some((job) => job.job_id === id));
    return first?.node === 'worker1' && first.gpus.length === 3 && inUse?.length === 2;
  });
  expect(await log()).toMatch(/^on worker1 with \d,\d, \d+ MiB\nodd\n$/);
  const there = join(worker.root, 'results', String(id));
  expect(readdirSync(join(stack.root, 'results', String(id)))).toEqual([]);
  writeFileSync(join(there, 'go'), '');

  const ended = await stack.finish(id);
  expect(ended).toMatchObject({ status: 'COMPLETED', exit_code: 0, node: 'worker1' });
  // Without a wait, since a job on a worker ends only when its whole log is here.
  expect(ended.log).toMatch(/last words\n$/);
  const { outputs } = await arrived(id);
  const sha256 = createHash('sha256').update('weights\n').digest('hex');
  expect(outputs.map(({ path }) => path).sort()).toEqual(['deep/er/a.pt', 'link.pt']);
  expect(outputs.map((output) => output.sha256)).toEqual([sha256, sha256]);
  const { text } = await stack.call('GET', outputs[0]?.download_url ?? '');
  expect(text).toBe('weights\n');
  await until('nothing is left there', () => !existsSync(there));
  expect(existsSync(join(worker.root, 'logs', 'jobs', String(id)))).toBe(false);
});

test('the log of a job on a worker has both streams in order, or standard error in a separate file', async () => {
  const fields = { command_key: 'shell', mem_gb: 0.1, ...onWorker };
  const [one, split] = await Promise.all([
    stack.run({ ...fields, command: printAlternating }),
    stack.run({ ...fields, command: 'echo one; echo two >&2', split_log: true }),
  ]);
  expect([one.log, split.log]).toEqual([alternatingLines, 'one\n']);
  const errors = await stack.call('GET', `/jobs/${split.job_id}/log?stream=stderr`);
  expect(errors.text).toBe('two\n');
});

test('the jobs of two users are separate on a worker, too', async () => {
  const [alice, bob] = [await stack.asUser('alice'), await stack.asUser('bob')];
  const fields = { command_key: 'shell', mem_gb: 0.1, ...onWorker };
  const command =
    'id -un; umask 077; echo weights >a.pt; (setsid sleep 600 &); until [ -e go ]; do sleep 0.1; done';
  const { job_id: id } = (await stack.submit({ ...fields, command }, alice)).json;
  await until('it runs', async () =>
    (await stack.call('GET', `/jobs/${id}/log`)).text.includes('jr-job'),
  );
  const folder = `${stack.root}/results/${id}`;
  const others = `id -un; cat ${folder}/a.pt; touch ${folder}/go; ls ${folder}/..; pkill -u jr-job1 || echo nothing`;
  const other = await stack.run({ ...fields, command: others, split_log: true }, bob);
  expect(other.log).toBe('jr-job2\nnothing\n');
  await stack.run({ ...fields, command: `touch ${folder}/go` }, alice);
  expect(await stack.finish(id)).toMatchObject({ status: 'COMPLETED', log: 'jr-job1\n' });
  expect(await arrived(id)).toMatchObject({ outputs: [{ path: 'a.pt' }], warnings: [] });
  const left = await stack.run({ ...fields, command: 'pgrep -xf "sleep 600" || echo none' }, alice);
  expect(left.log).toBe('none\n');
});

test('a worker fetches a dataset, by its digest, when a job there first needs it', async () => {
  const bytes = Buffer.from('a,b\n1,2\n');
  const sha = createHash('sha256').update(bytes).digest('hex');
  await stack.call('PUT', `/datasets/${sha}?name=t.csv`, { body: bytes });
  const fields = { ...onWorker, dataset_sha: sha };
  const first = await stack.shell('cat "$JR_DATASET_DIR"/*; sha256sum <"$JR_DATASET_FILE"', fields);
  expect(first).toMatchObject({ status: 'COMPLETED', log: `a,b\n1,2\n${sha}  -\n` });
  expect((await stack.shell('ls "$JR_DATASET_DIR"', fields)).log).toBe('t.csv\n');
  expect(existsSync(join(worker.root, 'datasets', sha.slice(0, 2), sha, 'original'))).toBe(true);
});

test('an uploaded script runs on a worker, and a cancelled job ends there', async () => {
  const form = new FormData();
  const fields = { command_key: 'python_script', mem_gb: '0.2', ...onWorker };
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  form.set('script', new Blob(['import os; print("own", os.environ["SLURMD_NODENAME"])']), 's.py');
  const { json } = await stack.call('POST', '/jobs', { body: form });
  expect(await stack.finish(json.job_id)).toMatchObject({
    status: 'COMPLETED',
    log: 'own worker1\n',
  });

  const { json: long } = await stack.submit({
    ...{ command_key: 'shell', command: 'echo on; sleep 600', mem_gb: 0.2, ...onWorker },
  });
  await stack.says(long.job_id, /^on$/m);
  await stack.call('POST', `/jobs/${long.job_id}/cancel`);
  expect(await stack.finish(long.job_id)).toMatchObject({ status: 'CANCELLED' });
});

test('a job whose files a worker cannot get ends with the reason, and the worker accepts the next job', async () => {
  const bytes = Buffer.from('gone\n');
  const sha = createHash('sha256').update(bytes).digest('hex');
  await stack.call('PUT', `/datasets/${sha}?name=g.txt`, { body: bytes });
  rmSync(join(stack.root, 'datasets', sha.slice(0, 2), sha, 'original'));
  const job = await stack.shell('cat "$JR_DATASET_FILE"', { ...onWorker, dataset_sha: sha });
  expect(job).toMatchObject({ status: 'FAILED', exit_code: 2 });
  expect(job.log).toMatch(/^jobrunner: .*could not fetch/);
  expect((await stack.shell('echo next', onWorker)).log).toBe('next\n');
});

test('a job without a partition takes the first free target, such as a worker when this machine has no room', async () => {
  const whole = { gpus: 2, mem_gb: 0.2, command_key: 'shell', command: 'sleep 600' };
  const { json: here } = await stack.submit({ ...whole, partition: 'main' });
  await stack.until(here.job_id, 'RUNNING');
  expect((await stack.shell('echo $SLURMD_NODENAME', { gpus: 1 })).log).toBe('worker1\n');
  // More than this machine has.
  expect((await stack.shell('echo $SLURM_JOB_GPUS', { gpus: 3 })).log).toBe('0,1,2\n');
  await stack.call('POST', `/jobs/${here.job_id}/cancel`);
});

test('a worker with a wrong token, or at a false controller, does not join', async () => {
  const token = joinToken(stack);
  const [form, fingerprint, secret = ''] = token.split('.');
  const stranger = await TestWorker.start(
    stack,
    [form, fingerprint, secret.replace(/./, (c) => (c === 'A' ? 'B' : 'A'))].join('.'),
  );
  expect(await stranger.ended()).toMatch(/JR_JOIN_TOKEN: .*controller/);
  await stranger.remove();
  const misled = await TestWorker.start(stack, [form, 'A'.repeat(43), secret].join('.'));
  expect(await misled.ended()).toMatch(/certificate .*JR_JOIN_TOKEN/);
  await misled.remove();
  const names = (await stack.call<NodesReply>('GET', '/nodes')).json.nodes.map(({ name }) => name);
  expect(names).toEqual(['box0', 'worker1']);
});

test('a cut of the link during a job loses nothing', async () => {
  const { json } = await stack.submit({
    ...{ command_key: 'shell', mem_gb: 0.2, ...onWorker },
    command: 'echo before; until [ -e go ]; do sleep 0.1; done; echo after; echo x > x.pt',
  });
  const id = json.job_id;
  await until('its first line is here', async () =>
    (await stack.call('GET', `/jobs/${id}/log`)).text.includes('before'),
  );
  worker.setLink('down');
  await worker.letGo(id);
  const localLog = join(worker.root, 'logs', 'jobs', String(id), 'stdout.log');
  await until('it has continued', () => readFileSync(localLog, 'utf8').includes('after'));
  worker.setLink('up');
  expect(await stack.finish(id)).toMatchObject({ status: 'COMPLETED', log: 'before\nafter\n' });
  expect((await arrived(id)).outputs.map(({ path }) => path)).toEqual(['x.pt']);
});

test('when a worker dies during a job, the job fails with the reason, or is queued again if it was submitted with requeue', async () => {
  const command = 'echo on $SLURMD_NODENAME; [ "$SLURMD_NODENAME" = box0 ] || sleep 600';
  const fields = { command_key: 'shell', command, mem_gb: 0.2 };
  const { json: plain } = await stack.submit({ ...fields, ...onWorker });
  // This machine is full, so that the other job starts there, too.
  const { json: full } = await stack.submit({
    ...{ ...fields, command: 'sleep 600', cpus: 16, partition: 'main' },
  });
  await stack.until(full.job_id, 'RUNNING');
  const { json: again } = await stack.submit({ ...fields, requeue: true });
  for (const { job_id } of [plain, again])
    await until('it runs there', async () =>
      (await stack.call('GET', `/jobs/${job_id}/log`)).text.includes('on worker1'),
    );
  await worker.cutPower();
  await stack.call('POST', `/jobs/${full.job_id}/cancel`);
  const failed = await stack.finish(plain.job_id);
  expect(failed).toMatchObject({ status: 'NODE_FAIL', failure: 'node' });
  expect(failed.message).toMatch(/worker1/);
  expect((await result(plain.job_id)).warnings.join()).toMatch(/still on worker1/);
  const moved = await stack.finish(again.job_id);
  expect(moved).toMatchObject({ status: 'COMPLETED', node: 'box0', log: 'on box0\n' });
  expect((await node('worker1'))?.state).toMatch(/^down/);
});

test('a worker returns under its name, and sends its unsent results', async () => {
  const { root } = worker;
  const left = readdirSync(join(root, 'workers', 'outbox'));
  expect(left.length).toBeGreaterThan(0);
  const tokenFile = { JR_JOIN_TOKEN_FILE: stack.env['JR_JOIN_TOKEN_FILE'] ?? '' };
  worker = await TestWorker.start(stack, '', tokenFile, root);
  await worker.ready();
  expect(worker.said).toMatch(/worker1 of the cluster/);
  expect((await stack.shell('echo $SLURMD_NODENAME', onWorker)).log).toBe('worker1\n');
  await until('all is sent', () => readdirSync(join(root, 'workers', 'outbox')).length === 0);
});

test('a worker that leaves is no longer a node, and its job ends with the reason', async () => {
  const { json } = await stack.submit({
    ...{ command_key: 'shell', mem_gb: 0.2, ...onWorker },
    command: 'echo here; sleep 600',
  });
  await until('it runs', async () =>
    (await stack.call('GET', `/jobs/${json.job_id}/log`)).text.includes('here'),
  );
  expect(await worker.leave()).toMatch(/Leaving …\nStopped\.\n$/);
  const ended = await stack.finish(json.job_id);
  expect(ended).toMatchObject({ status: 'NODE_FAIL', failure: 'node' });
  expect(ended.log).toMatch(/^here\n/);
  // Not withheld: they arrived before it left.
  expect(readdirSync(join(worker.root, 'workers', 'outbox'))).toEqual([]);
  expect(await node('worker1')).toBeUndefined();
  const refused = await stack.submit({
    ...{ command_key: 'shell', command: 'true', ...onWorker },
  });
  const error = refusal('unprocessable', 'partition');
  expect(refused).toMatchObject({ status: 422, json: { error } });
});
