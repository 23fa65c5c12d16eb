import { createHash } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TestApi } from './api.js';

// The sentences of errors that only a whole call gives. All other tests look at codes and fields.

let api: TestApi;
let sha: string;
beforeAll(async () => {
  api = await TestApi.start();
  const bytes = new TextEncoder().encode('some data');
  sha = createHash('sha256').update(bytes).digest('hex');
  await api.call('PUT', `/datasets/${sha}?name=data.txt`, bytes);
  await api.submit({ dataset_sha: sha });
});
afterAll(() => api.close());

function form(...parts: [name: string, value: string | Blob][]): FormData {
  const made = new FormData();
  for (const [name, value] of parts) made.append(name, value);
  return made;
}
const file = (content = 'x') => new Blob([content]);
const nowhere = 'a'.repeat(64);
const upload = '/datasets/upload';

test.each<[string, string, () => unknown, string]>([
  ['POST', upload, () => form(['name', 'x']), 'file: missing; send it with -F file=@data.tar.gz'],
  [
    'POST',
    upload,
    () => form(['file', file('1')], ['file', file('2')]),
    'file: sent twice; upload one file in each request',
  ],
  [
    'POST',
    upload,
    () => form(['data', file()]),
    'data: no such file field; send the file as "file"',
  ],
  [
    'POST',
    upload,
    () => form(['file', file()], ['nam', 'x']),
    'nam: no such field (did you mean name?); available: file, sha256, name',
  ],
  [
    'POST',
    upload,
    () => form(['file', file('')]),
    'file: is empty; a dataset has at least one byte',
  ],
  [
    'POST',
    upload,
    () => form(['file', file()], ['sha256', 'ABC']),
    'sha256: expected a SHA-256: 64 digits 0-9a-f in lower case, as sha256sum prints',
  ],
  [
    'POST',
    upload,
    () => ({}),
    'send multipart/form-data with the file in the field "file" (curl -F file=@data.tar.gz), or PUT the bytes to /datasets/<sha256>',
  ],
  [
    'PUT',
    `/datasets/${nowhere}`,
    () => new TextEncoder().encode('x'),
    `sha256: the received bytes have ${createHash('sha256').update('x').digest('hex')}, not ${nowhere}; nothing was stored, send the file again`,
  ],
  [
    'GET',
    `/datasets/${nowhere}`,
    () => undefined,
    `dataset ${nowhere}: not stored here; upload it first (POST /datasets/upload)`,
  ],
  [
    'POST',
    '/datasets/import',
    () => ({ uri: 's3://bucket/key' }),
    'imports are off: set JR_B2_ENABLE=1 with JR_B2_KEY_ID and JR_B2_APP_KEY, and start again',
  ],
  [
    'GET',
    '/datasets/imports/9',
    () => undefined,
    'import 9: no such import; see /datasets/imports',
  ],
  ['GET', '/jobs/99', () => undefined, 'there is no job 99'],
  [
    'GET',
    '/jobs?stat=RUNNING',
    () => undefined,
    'stat: no such query field (did you mean state?); available: user, state, experiment_id, limit, before',
  ],
  [
    'POST',
    '/jobs/1/cancel',
    () => ({ signal: 'INT' }),
    'signal: no such field; there is no field here',
  ],
  [
    'POST',
    '/jobs/1/priority',
    () => form(['priority', file('5')]),
    'priority: came as a file, but is a text; curl -F cuts a value at ";" and reads "@" and "<" as files: send it with --form-string priority=…',
  ],
  [
    'POST',
    '/jobs',
    () => form(['command_key', 'python_script'], ['scrip', file()]),
    'scrip: no such file field (did you mean script?); available: script',
  ],
  [
    'POST',
    '/jobs',
    () => form(['command_key', 'python_script'], ['script', file()], ['script', file()]),
    'script: sent twice; send one file',
  ],
  [
    'POST',
    '/jobs',
    () => ({ command_key: 'shel' }),
    'command_key: unknown template "shel" (did you mean shell?); available: echo_params, git_queue, python_script, pytorch_example, pytorch_infer, script, shell',
  ],
  ['GET', '/api/status/1', () => undefined, 'job_id: expected a UUID'],
])('%s %s', async (method, path, body, sentence) => {
  const { json } = await api.call(method, path, body());
  expect(json.error.message).toBe(sentence);
});

test('a dataset that an unfinished job uses is kept', async () => {
  const { status, json } = await api.call('DELETE', `/datasets/${sha}`);
  expect(status).toBe(409);
  expect(json.error.message).toBe(
    `dataset ${sha}: an unfinished job uses it; wait for the job or cancel it`,
  );
});

test('the damage of a dataset is told', async () => {
  const bytes = new TextEncoder().encode('other data');
  const digest = createHash('sha256').update(bytes).digest('hex');
  const folder = join(api.layout.datasets, digest.slice(0, 2), digest);
  const damaged = async (how: () => Promise<unknown>) => {
    await api.call('PUT', `/datasets/${digest}?name=data.txt`, bytes);
    await how();
    const path = `/datasets/${digest}/verify`;
    return (await api.call<{ problem: string }>('POST', path)).json.problem;
  };
  expect(await damaged(() => rm(join(folder, 'tree/data.txt')))).toBe(
    'data.txt is missing from the tree',
  );
  expect(await damaged(() => writeFile(join(folder, 'tree/more.txt'), ''))).toBe(
    'more.txt does not belong in the tree',
  );
  expect(await damaged(() => writeFile(join(folder, 'original'), 'OTHER data'))).toBe(
    'the original no longer has the SHA-256 of the upload',
  );
  expect(await damaged(() => rm(join(folder, 'original')))).toBe(
    'the original or the tree is missing, or the original has another size',
  );
});

describe('a body that is sent as another', () => {
  const json = '{"command_key": "shell", "command": "true"}';
  const send = async (body: string, headers: Record<string, string> = {}) => {
    const { status, json } = await api.call(
      'POST',
      '/jobs',
      new TextEncoder().encode(body),
      headers,
    );
    return [status, json.error.message];
  };
  const remedy = 'it looks like JSON: send it with Content-Type: application/json (curl -H)';

  test('names the content type that it needs', async () => {
    const type = 'application/x-www-form-urlencoded';
    expect(await send(json, { 'Content-Type': type })).toEqual([
      400,
      `Content-Type: the body was sent as ${type}; ${remedy}`,
    ]);
    expect(await send(json)).toEqual([
      400,
      `Content-Type: the body was sent without a Content-Type; ${remedy}`,
    ]);
    expect(await send('a: b', { 'Content-Type': 'text/yaml' })).toEqual([
      400,
      'Content-Type: the body was sent as text/yaml; send JSON with Content-Type: application/json, or a form (curl -F)',
    ]);
  });

  test('is told as the field `body` where it is no JSON', async () => {
    const [status, message] = await send('{"a"', { 'Content-Type': 'application/json' });
    expect(status).toBe(400);
    expect(message).toMatch(/^body: cannot be read: /);
  });
});

test('a text that curl has cut is refused with the remedy', async () => {
  const boundary = 'x';
  const part = (header: string) =>
    new TextEncoder().encode(
      `--x\r\nContent-Disposition: form-data; name="command"\r\n${header}\r\n\r\nYQ==\r\n--x--\r\n`,
    );
  for (const header of ['Content-Transfer-Encoding: base64', 'Content-Type: a/b']) {
    const type = { 'Content-Type': `multipart/form-data; boundary=${boundary}` };
    const { status, json } = await api.call('POST', '/jobs', part(header), type);
    expect([status, json.error.message]).toEqual([
      400,
      'command: expected a plain text, which has no content type and no encoding; curl -F cuts a value at ";" and reads "@" and "<" as files: send it with --form-string command=…',
    ]);
  }
});
