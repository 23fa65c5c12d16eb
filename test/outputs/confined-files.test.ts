import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { linkSync, chmodSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { AppError } from '../../src/errors.js';
import { openConfined, openConfinedEntry } from '../../src/storage/confined-fs/confined-files.js';
import { refusalReason } from '../../src/storage/confined-fs/refusals.js';
import {
  walkConfined,
  type WalkEntry,
  type WalkOptions,
} from '../../src/storage/confined-fs/confined-walk.js';
import { JobFolder } from './hostile-folder.js';

let folder: JobFolder;

beforeEach(() => {
  folder = new JobFolder();
});

afterEach(() => {
  folder.remove();
  expect(folder.openDescriptors).toBe(0);
});

async function read(path: string): Promise<string> {
  const handle = await openConfined(folder.root, path);
  try {
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

async function reasonFor(path: string): Promise<string | undefined> {
  const error = await read(path).then(
    (content) => new Error(`served ${content}`),
    (e: unknown) => e,
  );
  if (!(error instanceof AppError)) throw error as Error;
  return refusalReason(error) ?? error.code;
}

async function walk(options?: WalkOptions): Promise<WalkEntry[]> {
  const entries: WalkEntry[] = [];
  for await (const entry of walkConfined(folder.root, options)) entries.push(entry);
  return entries;
}

const paths = (entries: WalkEntry[], kind: WalkEntry['kind']) =>
  entries.flatMap((e) => (e.kind === kind && 'path' in e ? [e.path] : []));

describe('openConfined', () => {
  test('reads a file under any spelling of its path', async () => {
    folder.file('weights/model.pth', 'w');
    for (const path of ['weights/model.pth', './weights//model.pth', 'weights/./model.pth/'])
      expect(await read(path)).toBe('w');
  });

  test.each(['', '/etc/passwd', '../outside/secret.pth', 'a/../../x', '..', 'a\0b', '\ud800'])(
    'refuses the path %j as malformed',
    async (path) => {
      expect(await reasonFor(path)).toBe('bad_request');
    },
  );

  test('refuses paths and names that are longer than Linux allows', async () => {
    expect(await reasonFor('a'.repeat(256))).toBe('bad_request');
    expect(await reasonFor('a/'.repeat(3000))).toBe('bad_request');
  });

  test('reports a missing file or folder', async () => {
    folder.file('f');
    expect(await reasonFor('nope')).toBe('missing');
    expect(await reasonFor('f/below-a-file')).toBe('missing');
    await expect(openConfined(`${folder.root}-gone`, 'f')).rejects.toMatchObject({
      code: 'not_found',
      details: { reason: 'missing' },
    });
  });

  test('reports that a path is a folder', async () => {
    folder.file('weights/model.pth');
    for (const path of ['weights', '.'])
      await expect(openConfined(folder.root, path)).rejects.toMatchObject({
        code: 'bad_request',
        details: { reason: 'folder' },
      });
  });

  test('follows links that stay inside: relative, absolute, in chains, through folders and ..', async () => {
    folder.file('a/b/model.pth', 'inside');
    folder.link('flat', 'a/b/model.pth');
    folder.link('chain', 'flat');
    folder.link('a/up', '../chain');
    folder.link('dir', 'a/b');
    folder.link('via-dir', 'dir/../b/model.pth');
    folder.link('absolute', join(folder.root, 'a/b/model.pth'));
    for (const path of ['flat', 'chain', 'a/up', 'dir/model.pth', 'via-dir', 'absolute'])
      expect(await read(path)).toBe('inside');
  });

  test('refuses links that leave: directly, in chains, through a folder, or only on the way', async () => {
    folder.file('a/x');
    folder.link('absolute', folder.outside);
    folder.link('relative', '../../outside/secret.pth');
    folder.link('chain', 'a/next');
    folder.link('a/next', '../absolute');
    folder.link('dir', '../../outside');
    folder.link('out-and-in', '../1/a/x');
    folder.link('prefix', `${folder.root}-other/x`);
    folder.link('dotdot-in-absolute', `${folder.root}/../../outside/secret.pth`);
    folder.link('proc', '/proc/self/cwd');
    for (const path of [
      'absolute',
      'relative',
      'chain',
      'dir/secret.pth',
      'out-and-in',
      'prefix',
      'dotdot-in-absolute',
      'proc',
    ])
      expect([path, await reasonFor(path)]).toEqual([path, 'leaves_folder']);
  });

  test('gives up on links in a circle', async () => {
    folder.link('self', 'self');
    folder.link('ping', 'pong');
    folder.link('pong', 'ping');
    folder.link('grow', 'grow/x');
    for (const path of ['self', 'ping', 'grow']) expect(await reasonFor(path)).toBe('link_loop');
  });

  test('refuses a job’s folder that is a link', async () => {
    folder.link('fake', join(folder.base, 'outside'));
    await expect(openConfined(join(folder.root, 'fake'), 'secret.pth')).rejects.toThrow();
  });

  test('refuses a hard link to a file outside', async () => {
    linkSync(folder.outside, join(folder.root, 'hard'));
    expect(await reasonFor('hard')).toBe('hard_link');
  });

  test('refuses a file that only the service can read', async () => {
    chmodSync(folder.file('journal'), 0o600);
    expect(await reasonFor('journal')).toBe('service_file');
  });

  test('does not hang on a fifo or a socket', async () => {
    folder.fifo('fifo');
    const server = createServer().listen(join(folder.root, 'socket'));
    await once(server, 'listening');
    expect(await reasonFor('fifo')).toBe('not_regular');
    expect(await reasonFor('socket')).toBe('not_regular');
    server.close();
    await once(server, 'close');
  });

  const asRoot = process.geteuid?.() === 0 ? test : test.skip;
  asRoot('refuses a device', async () => {
    execFileSync('mknod', [join(folder.root, 'zero'), 'c', '1', '5']);
    expect(await reasonFor('zero')).toBe('not_regular');
  });

  asRoot('reports a file or folder that the job closed to the service', async () => {
    chmodSync(folder.base, 0o755);
    chmodSync(folder.file('closed.pth'), 0o600);
    folder.file('private/model.pth');
    chmodSync(join(folder.root, 'private'), 0o700);
    folder.file('open.pth', 'open');
    // The service is not root, and a job's files do not belong to the service.
    process.seteuid?.(65534);
    try {
      expect(await reasonFor('closed.pth')).toBe('closed_by_job');
      expect(await reasonFor('private/model.pth')).toBe('closed_by_job');
      expect(await read('open.pth')).toBe('open');
      const skipped = (await walk()).flatMap((e) => (e.kind === 'skipped' ? [e.path, e.why] : []));
      expect(skipped).toEqual(['private', 'closed_by_job']);
    } finally {
      process.seteuid?.(0);
    }
  });

  test('serves names with line breaks, quotes, markup and other scripts', async () => {
    for (const name of ['a\r\nSet-Cookie: x', '"quoted"', "it's.html", '模型.pth', '%2e%2e'])
      expect(await read(folder.file(name, 'odd').slice(folder.root.length + 1))).toBe('odd');
  });

  test('opens a folder, and the job’s whole folder as “.”', async () => {
    folder.file('weights/model.pth');
    folder.link('latest', 'weights');
    for (const path of ['.', 'weights', 'latest']) {
      const entry = await openConfinedEntry(folder.root, path);
      expect(entry.kind).toBe('folder');
      await entry.handle.close();
    }
  });

  test('never serves an outside file while the job swaps folders, files and links', async () => {
    folder.file('real/secret.pth', 'inside');
    const swapper = new Worker(
      `const { parentPort, workerData: { root, outside } } = require('node:worker_threads');
       const fs = require('node:fs');
       const { dirname } = require('node:path');
       fs.symlinkSync(dirname(outside), root + '/evil');
       let stop = false;
       parentPort.on('message', () => { stop = true; });
       function turn() {
         for (let i = 0; i < 50; i++) {
           fs.renameSync(root + '/real', root + '/kept');
           fs.renameSync(root + '/evil', root + '/real');
           fs.renameSync(root + '/real', root + '/evil');
           fs.renameSync(root + '/kept', root + '/real');
           fs.renameSync(root + '/real/secret.pth', root + '/real/kept.pth');
           fs.symlinkSync(outside, root + '/real/secret.pth');
           fs.unlinkSync(root + '/real/secret.pth');
           fs.linkSync(outside, root + '/real/secret.pth');
           fs.unlinkSync(root + '/real/secret.pth');
           fs.renameSync(root + '/real/kept.pth', root + '/real/secret.pth');
         }
         if (stop) parentPort.close(); else setImmediate(turn);
       }
       turn();
       parentPort.postMessage('swapping');`,
      { eval: true, workerData: { root: folder.root, outside: folder.outside } },
    );
    try {
      await once(swapper, 'message');
      const seen = new Map<string, number>();
      // Both outcomes of the race must occur, or the test shows nothing.
      const areMet = () => seen.has('inside') && seen.has('leaves_folder');
      for (let i = 0; i < 5000 || (!areMet() && i < 100_000); i++) {
        const result = await read('real/secret.pth').catch((error: unknown) => {
          const reason = refusalReason(error);
          if (reason === undefined) throw error;
          return reason;
        });
        seen.set(result, (seen.get(result) ?? 0) + 1);
        if (i % 20 > 0) continue;
        for await (const entry of walkConfined(folder.root)) {
          if (entry.kind !== 'file') continue;
          const file = await entry.open().catch((error: unknown) => {
            if (refusalReason(error) === undefined) throw error;
          });
          const content = await file?.handle.readFile('utf8');
          await file?.handle.close();
          expect(content ?? 'inside').toBe('inside');
        }
      }
      expect([...seen.keys()]).not.toContain(folder.secret);
      expect([...seen.keys()]).toEqual(expect.arrayContaining(['inside', 'leaves_folder']));
    } finally {
      swapper.postMessage('stop');
      await once(swapper, 'exit');
    }
  });
});

describe('walkConfined', () => {
  test('lists sorted files with size and time, folders, and links to files inside', async () => {
    folder.file('b.txt', '12345');
    folder.file('a/deep/model.pth', '123');
    folder.link('best.pth', 'a/deep/model.pth');
    const entries = await walk();
    expect(paths(entries, 'file')).toEqual(['a/deep/model.pth', 'b.txt', 'best.pth']);
    expect(paths(entries, 'folder')).toEqual(['a', 'a/deep']);
    const sizes = entries.flatMap((e) => (e.kind === 'file' ? [e.size] : []));
    expect(sizes).toEqual([3, 5, 3]);
  });

  test('starts below a folder, and opens exactly the current file', async () => {
    folder.file('model/config.json', '{}');
    folder.link('model/up', '../other');
    folder.file('other', 'o');
    const contents: string[] = [];
    for await (const entry of walkConfined(folder.root, { under: 'model' })) {
      if (entry.kind !== 'file') continue;
      const file = await entry.open();
      contents.push(`${entry.path}=${await file.handle.readFile('utf8')}`);
      await file.handle.close();
    }
    expect(contents).toEqual(['config.json={}', 'up=o']);
  });

  test('skips unserved entries and names that are not UTF-8, with a reason', async () => {
    folder.file('real.pth');
    folder.link('out.pth', folder.outside);
    folder.link('circle', '.');
    folder.link('loop.pth', 'loop.pth');
    folder.fifo('fifo.pth');
    linkSync(folder.outside, join(folder.root, 'hard.pth'));
    folder.bytesNamed(Buffer.from([0xff, 0xfe, 0x2e, 0x70, 0x74]));
    const entries = await walk();
    expect(paths(entries, 'file')).toEqual(['real.pth']);
    const why = Object.fromEntries(
      entries.flatMap((e) => (e.kind === 'skipped' ? [[e.path, e.why]] : [])),
    );
    expect(why).toEqual({
      'out.pth': 'leaves_folder',
      circle: 'link_to_folder',
      'loop.pth': 'link_loop',
      'fifo.pth': 'not_regular',
      'hard.pth': 'hard_link',
      '\ufffd\ufffd.pt': 'bad_name',
    });
  });

  test('ends at its limits and says so', async () => {
    for (let i = 0; i < 20; i++) folder.file(`f${i}`);
    const entries = await walk({ maxEntries: 10 });
    expect(paths(entries, 'file')).toHaveLength(10);
    expect(entries.at(-1)?.kind).toBe('limit');
    expect((await walk({ maxEntries: 20 })).at(-1)?.kind).toBe('file');

    folder.file('1/2/3/4/5/deep.pth');
    expect(paths(await walk({ maxDepth: 3 }), 'skipped')).toEqual(['1/2/3']);
  });

  test('closes every folder when it is abandoned halfway', async () => {
    folder.file('1/2/3/4/deep.pth');
    for await (const entry of walkConfined(folder.root)) if (entry.kind === 'file') break;
  });
});
