import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, linkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { byId, byPath, OutputStack } from './output-stack.js';
import { refusal } from '../refusal.js';
import { until } from '../until.js';

let stack: OutputStack;
beforeEach(async () => {
  stack = await OutputStack.start();
  stack.job(1);
});
afterEach(() => stack.stop());

test('a listing has the fields that the documented curl lines read', async () => {
  stack.folder.file('weights/model.pth', 'w');
  stack.folder.manifest({ outputs: [{ id: 'weights', path: 'weights/model.pth' }] });
  const output = {
    output_id: 'weights',
    job_id: 1,
    experiment_id: 'job-1',
    path: 'weights/model.pth',
    kind: 'file',
    type: 'weights',
    size: 1,
    sha256: createHash('sha256').update('w').digest('hex'),
    metadata: {},
    created_at: expect.stringMatching(/^\d{4}-.*Z$/) as string,
    download_url: '/outputs/download_by_job?job_id=1&rel_path=weights%2Fmodel.pth',
  };
  const { body } = await stack.json('/outputs/by_job/1');
  expect(body).toEqual({
    job_id: 1,
    experiment_id: 'job-1',
    source: 'manifest',
    indexed_at: '2026-01-02T03:04:05.000Z',
    outputs: [output],
    warnings: [],
    indexing: false,
  });
  const byExperiment = await stack.json('/outputs?experiment_id=job-1');
  expect(byExperiment.body).toEqual({
    experiment_id: 'job-1',
    outputs: [output],
    indexing: false,
  });
  expect((await stack.get(output.download_url)).body.toString()).toBe('w');
});

test('a file comes as an attachment that no browser opens, with length, digest and range support', async () => {
  stack.folder.file('model.pth', 'weights');
  await stack.outputs.indexJob(1);
  const { status, headers, body } = await stack.get(byId('job-1', 'model.pth'));
  expect(status).toBe(200);
  expect(body.toString()).toBe('weights');
  expect(headers).toMatchObject({
    'content-type': 'application/octet-stream',
    'content-length': '7',
    'content-disposition': 'attachment; filename=model.pth',
    'x-content-type-options': 'nosniff',
    'accept-ranges': 'bytes',
    etag: `"${createHash('sha256').update('weights').digest('hex')}"`,
  });
});

test('HEAD has the headers of GET and no body', async () => {
  stack.folder.file('model.pth', 'weights');
  const get = await stack.get(byPath('model.pth'));
  const head = await stack.get(byPath('model.pth'), { Range: 'bytes=0-1' }, 'HEAD');
  expect(head.status).toBe(200);
  expect(head.body).toHaveLength(0);
  for (const name of ['content-length', 'etag', 'content-type', 'content-disposition'])
    expect(head.headers[name]).toBe(get.headers[name]);
});

test('a range returns exactly those bytes; an impossible range gets 416 with the size', async () => {
  stack.folder.file('model.pth', '0123456789');
  const part = await stack.get(byPath('model.pth'), { Range: 'bytes=2-4' });
  expect([part.status, part.body.toString()]).toEqual([206, '234']);
  expect(part.headers).toMatchObject({ 'content-range': 'bytes 2-4/10', 'content-length': '3' });
  const tail = await stack.get(byPath('model.pth'), { Range: 'bytes=-3' });
  expect([tail.status, tail.body.toString()]).toEqual([206, '789']);
  const many = await stack.get(byPath('model.pth'), { Range: 'bytes=0-1,4-5' });
  expect([many.status, many.body.toString()]).toEqual([200, '0123456789']);
  const past = await stack.get(byPath('model.pth'), { Range: 'bytes=10-' });
  expect(past.status).toBe(416);
  expect(JSON.parse(past.body.toString())).toEqual({
    error: refusal('range_unsatisfiable', 'Range'),
  });
  expect(past.headers['content-range']).toBe('bytes */10');
  expect(past.headers['content-type']).toContain('application/json');
  expect(past.headers['content-disposition']).toBeUndefined();
});

test('a download resumes only if the file is unchanged', async () => {
  stack.folder.file('model.pth', '0123456789');
  const { headers } = await stack.get(byPath('model.pth'));
  const resume = { Range: 'bytes=5-', 'If-Range': headers.etag ?? '' };
  expect((await stack.get(byPath('model.pth'), resume)).status).toBe(206);
  stack.folder.file('model.pth', 'abcdefghij');
  const whole = await stack.get(byPath('model.pth'), resume);
  expect([whole.status, whole.body.toString()]).toEqual([200, 'abcdefghij']);
  const weak = { Range: 'bytes=5-', 'If-Range': `W/${whole.headers.etag}` };
  expect((await stack.get(byPath('model.pth'), weak)).status).toBe(200);
});

test('If-None-Match skips an unchanged file, and If-Match rejects a changed one', async () => {
  stack.folder.file('model.pth', 'a');
  const etag = (await stack.get(byPath('model.pth'))).headers.etag ?? '';
  const same = await stack.get(byPath('model.pth'), { 'If-None-Match': `"x", ${etag}` });
  expect([same.status, same.body.length, same.headers.etag]).toEqual([304, 0, etag]);
  expect((await stack.get(byPath('model.pth'), { 'If-Match': etag })).status).toBe(200);
  stack.folder.file('model.pth', 'b');
  expect((await stack.get(byPath('model.pth'), { 'If-None-Match': etag })).status).toBe(200);
  expect((await stack.get(byPath('model.pth'), { 'If-Match': etag })).status).toBe(412);
});

test('an empty file is sent', async () => {
  stack.folder.file('empty.pth', '');
  const { status, headers, body } = await stack.get(byPath('empty.pth'));
  expect([status, headers['content-length'], body.length]).toEqual([200, '0', 0]);
});

test('every byte of a file of several chunks arrives, whole and in ranges across chunks', async () => {
  const content = randomBytes(5 * 1024 * 1024 + 123);
  stack.folder.file('model.pth', content);
  const whole = await stack.get(byPath('model.pth'));
  expect(whole.body.equals(content)).toBe(true);
  const part = await stack.get(byPath('model.pth'), { Range: 'bytes=1000000-4200000' });
  expect(part.body.equals(content.subarray(1_000_000, 4_200_001))).toBe(true);
});

test('ranges beyond 4 GiB are read at their position', async () => {
  const path = stack.folder.file('huge.pth', '');
  truncateSync(path, 5 * 2 ** 30);
  appendFileSync(path, 'the end');
  const { status, headers, body } = await stack.get(byPath('huge.pth'), { Range: 'bytes=-7' });
  expect([status, body.toString()]).toEqual([206, 'the end']);
  expect(headers['content-range']).toBe('bytes 5368709120-5368709126/5368709127');
});

test.each(['a\r\nSet-Cookie: x=y', '"quoted".pth', 'page.html', '模型.pth', "it's; x=1", 'a\\b'])(
  'the name %j reaches the client without breaking a header',
  async (name) => {
    stack.folder.file(name, 'content');
    const { status, headers, body } = await stack.get(byPath(name));
    expect([status, body.toString()]).toEqual([200, 'content']);
    expect(headers['set-cookie']).toBeUndefined();
    expect(headers['content-type']).toBe('application/octet-stream');
    const disposition = headers['content-disposition'] ?? '';
    expect(disposition).toMatch(/^attachment; filename/);
    expect(disposition).toMatch(/^[\x20-\x7e]+$/);
  },
);

test('of several jobs with one output id, the newest job’s is sent if asked for', async () => {
  for (const jobId of [2, 3]) {
    stack.job(jobId, 'exp');
    stack.folder.fileOfJob(jobId, 'model.pth', `of job ${jobId}`);
  }
  stack.job(4, 'exp', 'RUNNING');
  stack.folder.fileOfJob(4, 'model.pth', 'of job 4');
  const { body } = await stack.get(`${byId('exp', 'model.pth')}&job_id=latest`);
  expect(body.toString()).toBe('of job 3');
  const listing = await stack.json('/outputs?experiment_id=exp');
  const ids = (listing.body['outputs'] as { job_id: number }[]).map((o) => o.job_id);
  expect(ids).toEqual([3, 2]);
});

test('a running job’s file can be downloaded by its path', async () => {
  stack.job(2, 'exp', 'RUNNING');
  stack.folder.fileOfJob(2, 'checkpoint.pth', 'so far');
  expect((await stack.get(byPath('checkpoint.pth', 2))).body.toString()).toBe('so far');
});

test('an unknown id gets 404, with the existing ids', async () => {
  stack.folder.file('model.pth');
  stack.folder.file('other.pth');
  const output = await stack.json(byId('job-1', 'nope'));
  expect(output).toMatchObject({ status: 404, body: { error: refusal('not_found', 'output_id') } });
  expect(output.body['error']).toMatchObject({
    details: { output_ids: ['model.pth', 'other.pth'] },
  });
  for (const [path, field] of [
    [byId('nope', 'model.pth'), 'experiment_id'],
    [byPath('model.pth', 99), 'job_id'],
    ['/outputs/by_job/99', 'job_id'],
    ['/outputs?experiment_id=nope', 'experiment_id'],
  ] as const)
    expect(await stack.json(path)).toMatchObject({
      status: 404,
      body: { error: refusal('not_found', field) },
    });
  expect(await stack.json(byPath('nope'))).toMatchObject({
    status: 404,
    body: { error: { code: 'not_found', details: { reason: 'missing' } } },
  });
});

test.each([
  ['/outputs', 'experiment_id'],
  ['/outputs?experiment_id=', 'experiment_id'],
  ['/outputs?experiment_id=a&experiment_id=b', 'experiment_id'],
  ['/outputs?experiment_id=a&limit=3', 'limit'],
  ['/outputs/by_job/0', 'id'],
  ['/outputs/by_job/1e3', 'id'],
  ['/outputs/by_job/..%2f1', 'id'],
  ['/outputs/by_job/99999999999999999999', 'id'],
  ['/outputs/by_job/1?x=1', 'x'],
  ['/outputs/download?experiment_id=a', 'output_id'],
  ['/outputs/download?experiment_id=a&output_id=b&path=c', 'path'],
  ['/outputs/download_by_job?job_id=1', 'rel_path'],
  ['/outputs/download_by_job?job_id=-1&rel_path=a', 'job_id'],
  ['/outputs/download_by_job?job_id=1&rel_path=a&rel_path=b', 'rel_path'],
  ['/outputs/download_by_job?job_id=1&rel_path=..%2f2%2fmodel.pth', 'rel_path'],
  ['/outputs/download_by_job?job_id=1&rel_path=%2e%2e/2', 'rel_path'],
  ['/outputs/download_by_job?job_id=1&rel_path=/etc/passwd', 'rel_path'],
  ['/outputs/download_by_job?job_id=1&rel_path=a%00b', 'rel_path'],
  [`/outputs/download_by_job?job_id=1&rel_path=${'a/'.repeat(3000)}`, 'rel_path'],
])('%s is refused with the field', async (path, field) => {
  expect(await stack.json(path)).toMatchObject({
    status: 400,
    body: { error: refusal('bad_request', field) },
  });
});

test('links out, hard links and fifos are refused with the reason', async () => {
  stack.folder.link('out.pth', stack.folder.outside);
  linkSync(stack.folder.outside, join(stack.folder.root, 'hard.pth'));
  stack.folder.fifo('fifo.pth');
  for (const [path, reason] of [
    ['out.pth', 'leaves_folder'],
    ['hard.pth', 'hard_link'],
    ['fifo.pth', 'not_regular'],
  ] as const)
    expect(await stack.json(byPath(path))).toMatchObject({
      status: 404,
      body: { error: { code: 'not_found', details: { reason } } },
    });
});

test('an indexed output that the job later turned into a link out is not served', async () => {
  stack.folder.file('model.pth', 'inside');
  await stack.outputs.indexJob(1);
  stack.folder.clear('model.pth');
  stack.folder.link('model.pth', stack.folder.outside);
  const { status, body } = await stack.get(byId('job-1', 'model.pth'));
  expect(status).toBe(404);
  expect(body.toString()).not.toContain(stack.folder.secret);
});

test('a file that shrinks while it is sent breaks the connection off instead of ending the body', async () => {
  const path = stack.folder.file('model.pth', '');
  truncateSync(path, 64 * 2 ** 20);
  const res = await stack.open(byPath('model.pth'));
  truncateSync(path, 100);
  res.resume();
  const [error] = (await once(res, 'error')) as [Error];
  expect(error.message).toContain('aborted');
});

test('clients that leave in the middle leave no descriptor open', async () => {
  truncateSync(stack.folder.file('model.pth', ''), 64 * 2 ** 20);
  await stack.get(byPath('model.pth'), {}, 'HEAD');
  for (let i = 0; i < 50; i++) {
    const res = await stack.open(i % 2 === 0 ? byPath('model.pth') : byPath('.'));
    await once(res, 'data');
    res.destroy();
    await once(res, 'close');
  }
  await until('no descriptor is open', (saw) => {
    const open = stack.folder.openDescriptors;
    saw(open);
    return open === 0;
  });
});
