import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { compileApp } from './compiled-app.js';
import { DataServer, makeTempFolder, removeFolder, sha256Of } from './dataset-client.js';
import { until } from '../until.js';

let app: Awaited<ReturnType<typeof compileApp>>;
let root: string;
let files: string;
let archive: string;
let sha: string;

beforeAll(async () => {
  app = await compileApp();
  files = await makeTempFolder();
  archive = join(files, 'packed.tar');
  writeFileSync(join(files, 'a.bin'), randomBytes(1000));
  await execa('tar', ['-cf', archive, '-C', files, 'a.bin']);
  sha = sha256Of(readFileSync(archive));
});

beforeEach(async () => {
  root = await makeTempFolder();
});

afterEach(() => removeFolder(root));

afterAll(async () => {
  await removeFolder(files);
  await app.remove();
});

/**
 * Restarts the service after a crash. @returns whether the dataset is there; fails if it is there
 * in part
 */
async function isThereAfterRestart(): Promise<boolean> {
  const server = await DataServer.start(app.dataServer, { root });
  try {
    expect(server.leftovers()).toEqual([]);
    const exists = (await server.curl(`/datasets/exists/${sha}`)).body['exists'] === true;
    expect(server.stored()).toEqual(exists ? [sha] : []);
    if (exists) {
      const verified = await server.curl(`/datasets/${sha}/verify`, '-X', 'POST');
      expect(verified.body).toMatchObject({ ok: true, files: 1, format: 'tar' });
    }
    expect((await server.put(archive, sha)).status).toBe(exists ? 200 : 201);
    return exists;
  } finally {
    await server.stop();
  }
}

test.each([
  ['received', false],
  ['unpacked', false],
  ['sealed', false],
  ['published', true],
  ['stored', true],
])('after a kill at the moment “%s”, the dataset is there: %s', async (crashAt, isThere) => {
  const server = await DataServer.start(app.dataServer, { root, crashAt });
  const died = once(server.child, 'exit');
  await expect(server.put(archive, sha)).rejects.toThrow(/curl/);
  await died;
  expect(await isThereAfterRestart()).toBe(isThere);
});

test('after a kill in the middle of a body, nothing of the upload stays', async () => {
  const server = await DataServer.start(app.dataServer, { root });
  const socket = connect({ port: Number(new URL(server.url).port), host: '127.0.0.1' });
  socket.on('error', () => undefined);
  socket.write(`PUT /datasets/${sha} HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n`);
  socket.write(randomBytes(8_000_000));
  const incoming = join(root, 'datasets/.incoming');
  const received = () =>
    readdirSync(incoming)
      .map((name) => join(incoming, name, 'dataset/original'))
      .reduce((sum, path) => sum + (existsSync(path) ? statSync(path).size : 0), 0);
  await until('a megabyte has arrived', () => received() > 1_000_000);
  const died = once(server.child, 'exit');
  server.child.kill('SIGKILL');
  await died;
  socket.destroy();
  expect(await isThereAfterRestart()).toBe(false);
});

test('a service that is stopped in the middle of a body removes the upload before it ends', async () => {
  const server = await DataServer.start(app.dataServer, { root });
  const socket = connect({ port: Number(new URL(server.url).port), host: '127.0.0.1' });
  socket.on('error', () => undefined);
  socket.write(`PUT /datasets/${sha} HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n`);
  socket.write(randomBytes(8_000_000));
  await until('the upload has begun', () => server.leftovers().length === 1);
  await server.stop();
  socket.destroy();
  expect(server.leftovers()).toEqual([]);
});

test('an incomplete folder is removed, and a row without files never counts as existing', async () => {
  const first = await DataServer.start(app.dataServer, { root });
  await first.put(archive, sha);
  await first.stop();
  await removeFolder(join(first.folderOf(sha), 'original'));
  const second = await DataServer.start(app.dataServer, { root });
  expect((await second.curl(`/datasets/exists/${sha}`)).body['exists']).toBe(false);
  expect((await second.curl(`/for-job/${sha}`)).body.error?.code).toBe('dataset_corrupt');
  expect((await second.put(archive, sha)).status).toBe(201);
  expect((await second.curl(`/for-job/${sha}`)).status).toBe(200);
  await second.stop();
});
