import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { constants, gunzipSync } from 'node:zlib';
import { byId, byPath, OutputStack } from './output-stack.js';

let stack: OutputStack;
beforeEach(async () => {
  stack = await OutputStack.start();
  stack.job(1);
});
afterEach(() => stack.stop());

/** Unpacks with the system's own tar; any message on stderr fails the test. */
function unpack(archive: Buffer): string {
  const file = join(stack.folder.base, 'archive.tar.gz');
  const into = join(stack.folder.base, 'unpacked');
  writeFileSync(file, archive);
  mkdirSync(into);
  execFileSync('tar', ['-xzf', file, '-C', into], { stdio: ['ignore', 'pipe', 'inherit'] });
  return into;
}

test('a folder output downloads as a tar.gz that GNU tar unpacks to the same files', async () => {
  const long = `model/${'deep-folder-name/'.repeat(12)}${'n'.repeat(150)}.json`;
  const names = [
    'model/config.json',
    'model/模型.bin',
    'model/a\nb',
    long,
    'model/empty',
    'model/exact',
  ];
  for (const name of names) stack.folder.file(name, name);
  stack.folder.file('model/empty', '');
  stack.folder.file('model/exact', Buffer.alloc(1024 * 1024, 'x'));
  stack.folder.link('model/latest', 'config.json');
  mkdirSync(join(stack.folder.root, 'model', 'no-files'));
  stack.folder.manifest({ outputs: [{ id: 'hf', path: 'model/' }] });

  const reply = await stack.get(byId('job-1', 'hf'));
  expect(reply.status).toBe(200);
  expect(reply.cut).toBe(false);
  expect(reply.headers).toMatchObject({
    'content-type': 'application/gzip',
    'content-disposition': 'attachment; filename=model.tar.gz',
    'accept-ranges': 'none',
  });
  const into = unpack(reply.body);
  execFileSync('diff', ['-r', join(stack.folder.root, 'model'), join(into, 'model')]);
  expect(readdirSync(join(into, 'model'))).not.toContain('SKIPPED-BY-JOBRUNNER.txt');
});

test('HEAD of a folder has its type and no body', async () => {
  stack.folder.file('model/config.json');
  const { status, headers, body } = await stack.get(byPath('model'), {}, 'HEAD');
  expect([status, headers['content-type'], body.length]).toEqual([200, 'application/gzip', 0]);
});

test('a link that leaves the folder is listed instead of packed', async () => {
  stack.folder.file('model/config.json');
  stack.folder.link('model/out', stack.folder.outside);
  stack.folder.link('model/dir-out', join(stack.folder.base, 'outside'));
  linkSync(stack.folder.outside, join(stack.folder.root, 'model/hard'));
  stack.folder.fifo('model/fifo');
  const reply = await stack.get(byPath('model'));
  const into = unpack(reply.body);
  expect(readdirSync(join(into, 'model')).sort()).toEqual([
    'SKIPPED-BY-JOBRUNNER.txt',
    'config.json',
  ]);
  const note = readFileSync(join(into, 'model/SKIPPED-BY-JOBRUNNER.txt'), 'utf8');
  for (const name of ['out', 'dir-out', 'hard', 'fifo']) expect(note).toContain(`"model/${name}"`);
  const text = execFileSync('gzip', ['-dc'], { input: reply.body });
  expect(text.includes(stack.folder.secret)).toBe(false);
});

test('the whole job folder downloads under the job’s name', async () => {
  stack.folder.file('a.txt', 'a');
  const { body, headers } = await stack.get(byPath('.'));
  expect(headers['content-disposition']).toBe('attachment; filename=job-1.tar.gz');
  expect(readFileSync(join(unpack(body), 'job-1/a.txt'), 'utf8')).toBe('a');
});

/**
 * Reads until the packer must be inside the big file; gzip's own header comes before any file is
 * opened.
 */
async function readSome(res: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of res.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk as Buffer);
    if (Buffer.concat(chunks).length > 4096) break;
  }
  return Buffer.concat(chunks);
}

test('a file that shrinks while it is packed breaks the connection off', async () => {
  const path = stack.folder.file('model/big.bin', '');
  truncateSync(path, 2 ** 31);
  const res = await stack.open(byPath('model'));
  await readSome(res);
  truncateSync(path, 100);
  res.resume();
  const [error] = (await once(res, 'error')) as [Error];
  expect(error.message).toContain('aborted');
});

test('the size of a file of more than 8 GiB is right in the archive', async () => {
  truncateSync(stack.folder.file('model/huge.bin', ''), 9 * 2 ** 30);
  const res = await stack.open(byPath('model'));
  const packed = await readSome(res);
  res.destroy();
  const start = gunzipSync(packed, { finishFlush: constants.Z_SYNC_FLUSH });
  expect(start.includes(`size=${9 * 2 ** 30}\n`)).toBe(true);
});
