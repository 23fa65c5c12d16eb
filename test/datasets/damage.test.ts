import {
  closeSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { compileApp } from './compiled-app.js';
import { DataServer, makeTempFolder, removeFolder, sha256Of } from './dataset-client.js';

let app: Awaited<ReturnType<typeof compileApp>>;
let server: DataServer;
let files: string;
let archive: string;
let sha: string;

beforeAll(async () => {
  app = await compileApp();
  files = await makeTempFolder();
  archive = join(files, 'packed.tar.gz');
  for (const name of ['a.txt', 'b.txt']) writeFileSync(join(files, name), name.repeat(50_000));
  await execa('ln', ['-s', 'a.txt', join(files, 'link')]);
  await execa('tar', ['-czf', archive, '-C', files, 'a.txt', 'b.txt', 'link']);
  sha = sha256Of(readFileSync(archive));
  server = await DataServer.start(app.dataServer, { root: await makeTempFolder() });
});

beforeEach(async () => {
  await server.put(archive, sha);
});

afterAll(async () => {
  await server.stop();
  await removeFolder(server.root);
  await removeFolder(files);
  await app.remove();
});

/** Damages a file as a failing disk does: flips one bit, and keeps size and times. */
function flipBit(path: string): void {
  const { atime, mtime, size } = statSync(path);
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, size >> 1);
  writeSync(file, Buffer.from([byte.readUInt8() ^ 4]), 0, 1, size >> 1);
  closeSync(file);
  utimesSync(path, atime, mtime);
}

const verify = () => server.curl(`/datasets/${sha}/verify`, '-X', 'POST');
const stored = (path: string) => join(server.folderOf(sha), path);

test('a good dataset passes, and the check leaves nothing', async () => {
  expect((await verify()).body).toMatchObject({ ok: true, corrupt: false });
  expect(server.leftovers()).toEqual([]);
});

test.each<[string, () => void | Promise<unknown>, RegExp]>([
  ['a flipped bit in the original', () => flipBit(stored('original')), /original/],
  ['a flipped bit in the tree', () => flipBit(stored('tree/b.txt')), /b\.txt/],
  ['a file missing from the tree', () => rm(stored('tree/a.txt')), /a\.txt/],
  ['an extra file in the tree', () => writeFileSync(stored('tree/c.txt'), ''), /c\.txt/],
  ['a link turned', () => execa('ln', ['-sfn', 'b.txt', stored('tree/link')]), /link/],
  ['another mode', () => execa('chmod', ['o+r', stored('tree/a.txt')]), /a\.txt/],
  ['a missing original', () => rm(stored('original')), /original/],
])('%s is found, kept from jobs, and repaired by the next upload', async (_what, damage, words) => {
  await damage();
  expect((await verify()).body).toMatchObject({
    ok: false,
    corrupt: true,
    problem: expect.stringMatching(words) as string,
  });
  expect((await server.curl(`/for-job/${sha}`)).body.error?.code).toBe('dataset_corrupt');
  expect((await server.curl(`/datasets/exists/${sha}`)).body['exists']).toBe(false);

  expect((await server.put(archive, sha)).status).toBe(201);
  expect((await verify()).body).toMatchObject({ ok: true, corrupt: false });
  expect((await server.curl(`/for-job/${sha}`)).status).toBe(200);
  expect(server.leftovers()).toEqual([]);
});

test('a flipped bit in a file that is no archive is found', async () => {
  const plain = join(files, 'a.txt');
  const digest = sha256Of(readFileSync(plain));
  await server.put(plain, digest, '?name=a.txt');
  flipBit(join(server.folderOf(digest), 'tree/a.txt'));
  const { body } = await server.curl(`/datasets/${digest}/verify`, '-X', 'POST');
  expect(body).toMatchObject({ ok: false, corrupt: true });
});
