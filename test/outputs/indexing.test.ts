import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, truncateSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import type { JobOutputs } from '../../src/outputs/service.js';
import { findIndex } from '../../src/outputs/store.js';
import { OutputStack } from './output-stack.js';

let stack: OutputStack;
beforeEach(async () => {
  stack = await OutputStack.start();
  stack.job(1);
});
afterEach(() => stack.stop());

/** Waits for the whole indexing. */
const noEnd = new AbortController().signal;
const sha256 = (content: string) => createHash('sha256').update(content).digest('hex');

test('a manifest’s outputs are indexed with size, digest, type and metadata', async () => {
  stack.folder.file('weights/model.pth', 'w');
  stack.folder.file('hf/config.json', '{}');
  stack.folder.file('hf/model.safetensors', '123');
  stack.folder.file('unlisted.pth');
  stack.folder.manifest({
    experiment_id: 'job-1',
    outputs: [
      { id: 'weights', path: 'weights/model.pth', metadata: { loss: 0.5 } },
      { id: 'model', path: 'hf', type: 'huggingface' },
    ],
  });
  const { outputs, warnings, source } = await stack.outputs.indexJob(1);
  expect({ source, warnings }).toEqual({ source: 'manifest', warnings: [] });
  expect(outputs).toMatchObject([
    {
      outputId: 'weights',
      path: 'weights/model.pth',
      kind: 'file',
      type: 'weights',
      size: 1,
      sha256: sha256('w'),
      metadata: { loss: 0.5 },
    },
    { outputId: 'model', path: 'hf', kind: 'folder', type: 'huggingface', size: 5, sha256: null },
  ]);
});

test('entries that are missing, lead out or are no files cause warnings, and the others are kept', async () => {
  stack.folder.file('good.pth');
  stack.folder.link('evil', stack.folder.outside);
  stack.folder.fifo('pipe');
  stack.folder.manifest({
    outputs: ['good.pth', 'gone', 'evil', 'pipe', '../1/good.pth'].map((path, i) => ({
      id: `o${i}`,
      path,
    })),
  });
  const { outputs, warnings } = await stack.outputs.indexJob(1);
  expect(outputs.map((o) => o.path)).toEqual(['good.pth']);
  expect(warnings).toEqual([
    expect.stringContaining('“..”'),
    expect.stringMatching(/"gone" .*exist/),
    expect.stringMatching(/"evil" .*leaves/),
    expect.stringMatching(/"pipe" .*fifo/),
  ]);
});

test('without a manifest, weight files are found by extension and named by their path', async () => {
  for (const path of ['a.pt', 'b/c.PTH', 'd.bin', 'e.ckpt', 'f.safetensors', 'g.onnx', 'log.txt'])
    stack.folder.file(path);
  stack.folder.link('best.pth', 'a.pt');
  stack.folder.link('evil.pth', stack.folder.outside);
  const { outputs, warnings, source } = await stack.outputs.indexJob(1);
  expect(source).toBe('extensions');
  const found = ['a.pt', 'b/c.PTH', 'best.pth', 'd.bin', 'e.ckpt', 'f.safetensors', 'g.onnx'];
  expect(outputs.map((o) => o.outputId)).toEqual(found);
  expect(warnings).toEqual([expect.stringContaining('evil.pth')]);
});

test('a broken manifest falls back to the extensions and says so', async () => {
  stack.folder.file('model.pth');
  stack.folder.manifest('{"outputs": [');
  const { outputs, warnings, source } = await stack.outputs.indexJob(1);
  expect(source).toBe('extensions');
  expect(outputs.map((o) => o.outputId)).toEqual(['model.pth']);
  expect(warnings).toEqual([expect.stringMatching(/^manifest\.json .*JSON/)]);
});

test('a job without a folder has no outputs, and a warning', async () => {
  stack.job(2);
  const { outputs, warnings } = await stack.outputs.indexJob(2);
  expect({ outputs, warnings }).toEqual({
    outputs: [],
    warnings: [expect.stringContaining('folder')],
  });
});

test('a changed file is hashed again even if its times were set back', async () => {
  const path = stack.folder.file('model.pth', 'old');
  utimesSync(path, 1, 1);
  const before = await stack.outputs.indexJob(1);
  stack.folder.file('model.pth', 'new');
  utimesSync(path, 1, 1);
  const after = await stack.outputs.indexJob(1);
  expect([before, after].map((l) => l.outputs[0]?.sha256)).toEqual([sha256('old'), sha256('new')]);
});

test('ten simultaneous calls index once, and a later call stores the same rows again', async () => {
  stack.folder.file('model.pth');
  const all = await Promise.all(Array.from({ length: 10 }, () => stack.outputs.indexJob(1)));
  expect(new Set(all).size).toBe(1);
  stack.time += 1000;
  const again = await stack.outputs.indexJob(1);
  expect(again.outputs).toEqual(all[0]?.outputs);
  expect(again.indexedAt).toBe(stack.time);
  stack.folder.clear('model.pth');
  expect((await stack.outputs.indexJob(1)).outputs).toEqual([]);
});

test('ten thousand outputs are indexed and listed', async () => {
  const outputs = Array.from({ length: 10_000 }, (_, i) => ({
    id: `o${i}`,
    path: `d/f${i % 500}`,
  }));
  for (let i = 0; i < 500; i++) stack.folder.file(`d/f${i}`);
  stack.folder.manifest({ outputs });
  expect((await stack.outputs.indexJob(1)).outputs).toHaveLength(10_000);
  const { body } = await stack.json('/outputs/by_job/1');
  expect(body['outputs']).toHaveLength(10_000);
});

test('a file with exabytes of holes is listed without a digest, not read for years', async () => {
  truncateSync(stack.folder.file('huge.pth', ''), 2 ** 42);
  const { outputs, warnings } = await stack.outputs.indexJob(1);
  expect(outputs).toMatchObject([{ size: 2 ** 42, sha256: null }]);
  expect(warnings).toEqual([expect.stringContaining('holes')]);
});

test('a folder of hostile names and kinds is indexed without a hang, leak or failure', async () => {
  stack.folder.fifo('a.pth');
  stack.folder.link('b.pth', 'b.pth');
  stack.folder.bytesNamed(Buffer.from([0xff, 0x2e, 0x70, 0x74]));
  stack.folder.file('c\r\n"<x>.pth');
  chmodSync(stack.folder.file('own.pth'), 0o600);
  const { outputs, warnings } = await stack.outputs.indexJob(1);
  expect(stack.folder.openDescriptors).toBe(0);
  expect(outputs.map((o) => o.path)).toEqual(['c\r\n"<x>.pth']);
  expect(warnings).toHaveLength(4);
});

test('of a thousand warnings, a hundred and a count are kept', async () => {
  stack.folder.manifest({ outputs: Array.from({ length: 1000 }, () => 'bad') });
  const { warnings } = await stack.outputs.indexJob(1);
  expect(warnings).toHaveLength(101);
  expect(warnings.at(-1)).toMatch(/\b900\b/);
});

test('a running job is not indexed, and its listing says so', async () => {
  stack.job(2, 'exp', 'RUNNING');
  stack.folder.fileOfJob(2, 'model.pth', 'x');
  const { outputs, warnings } = await stack.outputs.indexJob(2);
  expect(outputs).toEqual([]);
  expect(warnings).toEqual([expect.stringContaining('RUNNING')]);
  stack.setState(2, 'COMPLETED');
  expect((await stack.outputs.byJob(2, undefined, noEnd)).outputs).toHaveLength(1);
});

test('outputs that arrive behind the indexing walk are found all the same, also by a simultaneous listing', async () => {
  stack.late = 'the outputs are on their way';
  expect(await stack.outputs.indexJob(1)).toMatchObject({ outputs: [], warnings: [stack.late] });
  let listed: Promise<JobOutputs> | undefined;
  stack.lookedThrough = () => {
    stack.folder.file('model.pth', 'w');
    stack.late = undefined;
    listed ??= stack.outputs.byJob(1, undefined, noEnd);
  };
  const found = { outputs: [{ path: 'model.pth' }], warnings: [] };
  expect(await stack.outputs.indexJob(1)).toMatchObject(found);
  expect(await listed).toMatchObject(found);
});

test('a stop aborts indexing, keeps the old index, and refuses new calls', async () => {
  stack.folder.file('model.pth');
  await stack.outputs.indexJob(1);
  const running = stack.outputs.indexJob(1);
  const closing = stack.outputs.close();
  await expect(running).rejects.toMatchObject({ code: 'shutting_down' });
  await closing;
  await expect(stack.outputs.indexJob(1)).rejects.toMatchObject({ code: 'shutting_down' });
  expect((await stack.outputs.byJob(1, undefined, noEnd)).outputs).toHaveLength(1);
});

test('large files are hashed correctly, and a stop does not wait for them', async () => {
  const content = randomBytes(9 * 1024 * 1024 + 5);
  stack.folder.file('large.pth', content);
  const { outputs } = await stack.outputs.indexJob(1);
  expect(outputs[0]?.sha256).toBe(createHash('sha256').update(content).digest('hex'));
  truncateSync(stack.folder.file('endless.pth', ''), 60 * 2 ** 30);
  const refused = expect(stack.outputs.indexJob(1)).rejects.toMatchObject({
    code: 'shutting_down',
  });
  await stack.outputs.close();
  await refused;
});

describe('while large outputs of one user are hashed', () => {
  beforeEach(() => {
    for (const id of [2, 3]) {
      stack.job(id, `job-${id}`, 'COMPLETED', 'alice');
      truncateSync(stack.folder.fileOfJob(id, 'huge.pth', ''), 20 * 2 ** 30);
      stack.outputs.indexJob(id).catch(() => undefined);
    }
    stack.job(4, 'job-4', 'COMPLETED', 'bob');
  });

  test('a small job of another user is indexed', async () => {
    const content = randomBytes(2 ** 20);
    stack.folder.fileOfJob(4, 'small.pth', content);
    const { outputs, indexing } = await stack.outputs.indexJob(4);
    expect({ sha256: outputs[0]?.sha256, indexing }).toEqual({
      sha256: createHash('sha256').update(content).digest('hex'),
      indexing: false,
    });
    for (const id of [2, 3]) expect(findIndex(stack.db, id)).toBeUndefined();
  });

  test('a listing says so when its time is over, and a download by id asks to come again', async () => {
    expect(await stack.get('/outputs/by_job/2?wait=1')).toMatchObject({
      status: 200,
      headers: { 'retry-after': '0' },
    });
    expect((await stack.json('/outputs/by_job/2?wait=0')).body).toMatchObject({
      outputs: [],
      indexed_at: null,
      indexing: true,
    });
    expect((await stack.json('/outputs?experiment_id=job-3&user=alice&wait=0')).body).toMatchObject(
      { outputs: [], indexing: true },
    );
    const query = { experimentId: 'job-2', user: 'alice', caller: 'admin', scope: undefined };
    await expect(
      stack.outputs.openOutput(query, 'huge.pth', AbortSignal.abort()),
    ).rejects.toMatchObject({ code: 'conflict', details: { fields: ['output_id'] } });
  });
});

test('a job that is deleted while it is indexed leaves no rows', async () => {
  stack.folder.file('large.pth', randomBytes(9 * 1024 * 1024));
  const running = stack.outputs.indexJob(1);
  stack.db.prepare('DELETE FROM jobs').run();
  await expect(running).rejects.toMatchObject({ code: 'not_found' });
});

test('a full disk is reported, and the old index stays', async () => {
  stack.folder.file('model.pth');
  await stack.outputs.indexJob(1);
  for (let i = 0; i < 500; i++) stack.folder.file(join('more', `${'n'.repeat(200)}${i}.pth`));
  // SQLite's own page limit gives SQLITE_FULL, as a full disk does.
  const pages = stack.db.pragma('page_count', { simple: true }) as number;
  stack.db.pragma(`max_page_count = ${pages + 2}`);
  await expect(stack.outputs.indexJob(1)).rejects.toMatchObject({ code: 'disk_full' });
  expect((await stack.outputs.byJob(1, undefined, noEnd)).outputs).toHaveLength(1);
});
