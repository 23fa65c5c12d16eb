import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { compileApp } from './compiled-app.js';
import {
  DataServer,
  makeTempFolder,
  removeFolder,
  sha256Of,
  type Reply,
} from './dataset-client.js';
import { refusal } from '../refusal.js';

let app: Awaited<ReturnType<typeof compileApp>>;
let server: DataServer;
let files: string;
const inUse = sha256Of('in use');

beforeAll(async () => {
  app = await compileApp();
  files = await makeTempFolder();
  server = await DataServer.start(app.dataServer, {
    root: await makeTempFolder(),
    uploadBytes: 8 * 2 ** 20,
    inUse: [inUse],
  });
});

afterAll(async () => {
  await server.stop();
  await removeFolder(server.root);
  await removeFolder(files);
  await app.remove();
});

function fileOf(bytes: Buffer | string, name = 'data.bin'): { path: string; sha: string } {
  const path = join(files, name);
  writeFileSync(path, bytes);
  return { path, sha: sha256Of(bytes) };
}

async function tarGz(): Promise<{ path: string; sha: string }> {
  const tree = join(files, 'packed');
  mkdirSync(join(tree, 'sub'), { recursive: true });
  for (const name of ['a.txt', 'sub/b.txt', 'sub/c.txt', 'z.txt'])
    writeFileSync(join(tree, name), `content of ${name}\n`);
  const path = join(files, 'packed.tar.gz');
  await execa('tar', ['-czf', path, '-C', tree, '.']);
  return { path, sha: sha256Of(readFileSync(path)) };
}

function expectRefused(reply: Reply, status: number, ...why: Parameters<typeof refusal>): void {
  expect(reply).toMatchObject({ status, body: { error: refusal(...why) } });
}

describe('a stored dataset', () => {
  test('is uploaded with PUT, found, listed and unpacked; a second PUT makes no second copy', async () => {
    const { path, sha } = await tarGz();
    expect(await server.put(path, sha, '?name=packed.tar.gz')).toMatchObject({
      status: 201,
      body: {
        sha256: sha,
        name: 'packed.tar.gz',
        format: 'tar.gz',
        files: 4,
        created: true,
        source: 'put',
      },
    });
    expect(await server.put(path, sha)).toMatchObject({ status: 200, body: { created: false } });
    expect((await server.curl(`/datasets/exists/${sha}`)).text).toContain('"exists": true');
    expect(readFileSync(join(server.folderOf(sha), 'original'))).toEqual(readFileSync(path));
    expect(readFileSync(join(server.folderOf(sha), 'tree/sub/b.txt'), 'utf8')).toMatch('sub/b.txt');
    const listed = (await server.curl('/datasets')).body['datasets'] as { sha256: string }[];
    expect(listed.map((dataset) => dataset.sha256)).toContain(sha);
    expect(server.leftovers()).toEqual([]);
  });

  test('lists each of its files once, page by page', async () => {
    const { path, sha } = await tarGz();
    await server.put(path, sha);
    const seen: string[] = [];
    let after = '';
    do {
      const { body } = await server.curl(`/datasets/${sha}/files?limit=1${after}`);
      seen.push(...(body['files'] as { path: string }[]).map((file) => file.path));
      after = body['next'] === undefined ? '' : `&after=${body['next'] as string}`;
    } while (after !== '');
    expect(seen).toEqual(['a.txt', 'sub/b.txt', 'sub/c.txt', 'z.txt']);
  });

  test('is uploaded by form with the digest before or after the file, or without a digest', async () => {
    const { path, sha } = fileOf(randomBytes(300_000));
    expect(await server.upload(`file=@${path}`, `sha256=${sha}`)).toMatchObject({
      status: 201,
      body: { sha256: sha, name: 'data.bin', format: 'file', size: 300_000, source: 'upload' },
    });
    expect((await server.upload(`sha256=${sha}`, `file=@${path}`)).status).toBe(200);
    expect((await server.upload(`file=@${path}`)).status).toBe(200);
  });

  test('is uploaded whole by form, even if it contains pieces of the form’s boundary', async () => {
    const delimiter = '\r\n--boundary-of-the-form';
    const pieces = Array.from({ length: delimiter.length }, (_, i) =>
      delimiter.slice(0, i).padEnd((i * 7) % 90, 'x'),
    );
    const content = pieces.join('\r\n\r').repeat(200) + delimiter.slice(0, -1);
    const { path } = fileOf(
      `${delimiter.slice(2)}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n` +
        `${content}${delimiter}--\r\n`,
      'form',
    );
    const type = 'Content-Type: multipart/form-data; boundary=boundary-of-the-form';
    const sent = ['-H', type, '--data-binary', `@${path}`];
    expect(await server.curl('/datasets/upload', ...sent)).toMatchObject({
      status: 201,
      body: { sha256: sha256Of(content), size: content.length },
    });
  });

  test('keeps its given name, in any script, without characters that could harm a reader', async () => {
    const { path } = fileOf('named');
    const reply = await server.upload(`file=@${path};filename=../../日本\u202e語.bin`);
    expect(reply.body['name']).toBe('日本語.bin');
    const other = fileOf('named otherwise');
    expect((await server.upload(`file=@${other.path}`, 'name=mine')).body['name']).toBe('mine');
  });

  test('is stored once when it is sent ten times at once', async () => {
    const { path, sha } = fileOf(randomBytes(2 ** 20));
    const replies = await Promise.all(Array.from({ length: 10 }, () => server.put(path, sha)));
    expect(replies.map((reply) => reply.status).sort()).toEqual([
      ...Array<number>(9).fill(200),
      201,
    ]);
    expect(server.leftovers()).toEqual([]);
  });

  test('is deleted, unless a job uses it', async () => {
    const { path, sha } = fileOf('to delete');
    await server.put(path, sha);
    expect(await server.curl(`/datasets/${sha}`, '-X', 'DELETE')).toMatchObject({ status: 200 });
    expect((await server.curl(`/datasets/exists/${sha}`)).text).toContain('"exists": false');
    expect((await server.curl(`/datasets/${sha}`)).status).toBe(404);
    expect(server.stored()).not.toContain(sha);
    await server.put(fileOf('in use').path, inUse);
    expectRefused(await server.curl(`/datasets/${inUse}`, '-X', 'DELETE'), 409, 'conflict');
    expect(server.stored()).toContain(inUse);
  });

  test('that is not there is told to be uploaded first', async () => {
    expectRefused(await server.curl(`/for-job/${sha256Of('nowhere')}`), 404, 'not_found');
    expectRefused(await server.curl(`/datasets/${sha256Of('nowhere')}/files`), 404, 'not_found');
  });
});

describe('a refused upload leaves nothing behind', () => {
  let storedBefore: string[];
  beforeEach(() => {
    storedBefore = server.stored();
  });
  afterEach(() => {
    expect(server.leftovers()).toEqual([]);
    expect(server.stored()).toEqual(storedBefore);
  });

  test('when its digest differs; the error has both digests', async () => {
    const { path, sha } = fileOf('these bytes');
    const expected = sha256Of('other bytes');
    const details = { expected, actual: sha };
    const refused = { status: 400, body: { error: { code: 'sha256_mismatch', details } } };
    expect(await server.put(path, expected)).toMatchObject(refused);
    expect(await server.upload(`file=@${path}`, `sha256=${expected}`)).toMatchObject(refused);
    expect(await server.upload(`sha256=${expected}`, `file=@${path}`)).toMatchObject(refused);
  });

  test('when it is empty', async () => {
    const { path, sha } = fileOf('', 'empty');
    expectRefused(await server.put(path, sha), 400, 'bad_request', 'file');
    expectRefused(await server.upload(`file=@${path}`), 400, 'bad_request', 'file');
  });

  test('when it is a broken archive', async () => {
    const { path, sha } = await tarGz();
    const cut = fileOf(readFileSync(path).subarray(0, -20), 'cut.tar.gz');
    expect(await server.put(cut.path, cut.sha)).toMatchObject({
      status: 422,
      body: { error: { code: 'archive_refused' } },
    });
    expect(cut.sha).not.toBe(sha);
  });

  const form = (...parts: string[]) => [...parts, '--X--', ''].join('\r\n');
  const filePart = '--X\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc';
  const multipart = 'Content-Type: multipart/form-data; boundary=X';
  test.each<[string, () => string[], string]>([
    ['no file', () => ['-F', 'name=x'], 'file'],
    ['an empty file field', () => ['-F', 'file=@/dev/null;filename='], 'file'],
    ['text where the file belongs', () => ['-F', 'file=text'], 'file'],
    [
      'two files',
      () => ['-F', `file=@${fileOf('1').path}`, '-F', `file=@${fileOf('1').path}`],
      'file',
    ],
    ['a file in another field', () => ['-F', `data=@${fileOf('1').path}`], 'data'],
    ['an unknown field', () => ['-F', `file=@${fileOf('1').path}`, '-F', 'colour=red'], 'colour'],
    ['a malformed digest', () => ['-F', `file=@${fileOf('1').path}`, '-F', 'sha256=ABC'], 'sha256'],
    [
      'a digest sent twice',
      () => ['-F', `file=@${fileOf('1').path}`, '-F', 'sha256=a', '-F', 'sha256=a'],
      'sha256',
    ],
  ])('with %s', async (_what, args, field) => {
    expectRefused(await server.curl('/datasets/upload', ...args()), 400, 'bad_request', field);
  });

  test.each<[string, () => string[], RegExp]>([
    [
      'a body that is no form',
      () => ['-H', 'Content-Type: application/json', '-d', '{}'],
      /multipart\/form-data/,
    ],
    ['no body', () => ['-X', 'POST'], /multipart\/form-data/],
    ['no boundary', () => ['-H', 'Content-Type: multipart/form-data', '-d', 'x'], /malformed/],
    ['a form that is cut off', () => ['-H', multipart, '--data-binary', filePart], /malformed/],
    [
      'a part without headers',
      () => ['-H', multipart, '--data-binary', form('--X', 'x', '')],
      /malformed/,
    ],
    ['a malformed form', () => ['-H', multipart, '--data-binary', 'hello'], /malformed/],
  ])('with %s', async (_what, args, words) => {
    const reply = await server.curl('/datasets/upload', ...args());
    expectRefused(reply, 400, 'bad_request');
    expect(reply.body.error?.message).toMatch(words);
  });

  test.each([
    ['Content-Length', []],
    ['chunks', ['-H', 'Transfer-Encoding: chunked']],
  ])('when it exceeds the limit by %s: 413, readable, connection closed', async (_how, headers) => {
    const { path, sha } = fileOf(randomBytes(64 * 2 ** 20), 'large');
    const put = await server.curl(`/datasets/${sha}`, '-T', path, '-i', ...headers);
    const posted = await server.curl('/datasets/upload', '-F', `file=@${path}`, '-i', ...headers);
    for (const { status, text } of [put, posted]) {
      expect(status).toBe(413);
      expect(text).toMatch(/connection: close/i);
      expect(text).toMatch(/"code": ?"too_large"/);
      expect(text).toMatch(/"max_bytes": ?8388608/);
    }
  });
});

test.each([
  ['upper case', 'A'.repeat(64)],
  ['63 digits', 'a'.repeat(63)],
  ['65 digits', 'a'.repeat(65)],
  ['dots', '..'],
  ['encoded dots', '%2e%2e%2f'],
  ['a NUL', '%00'],
  ['broken encoding', '%zz'],
  ['something else', 'x'],
])('a digest of %s gets 400 everywhere', async (_what, digest) => {
  const { path } = fileOf('x');
  const replies = await Promise.all([
    server.curl(`/datasets/exists/${digest}`),
    server.curl(`/datasets/${digest}`),
    server.curl(`/datasets/${digest}/files`),
    server.curl(`/datasets/${digest}`, '-X', 'PUT', '--data-binary', `@${path}`),
    server.curl(`/datasets/${digest}`, '-X', 'DELETE'),
    server.curl(`/datasets/${digest}/verify`, '-X', 'POST'),
  ]);
  expect(replies.map((reply) => reply.status)).toEqual([400, 400, 400, 400, 400, 400]);
  expect(readdirSync(server.root).sort()).toEqual(['datasets', 'db', 'db-shm', 'db-wal']);
});
