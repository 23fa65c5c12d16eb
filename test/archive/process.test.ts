import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { extractArchive } from '../../src/datasets/archive/extract-archive.js';
import { packageRoot } from '../../src/config/package-root.js';
import {
  NO_LIMITS,
  Workspace,
  contentsOf,
  extension,
  file,
  folder,
  symlink,
  tar,
} from './support.js';
import { until } from '../until.js';

const work = new Workspace();
afterAll(() => {
  work.remove();
});

/** A stream that unpacks slowly and is no bomb. */
function longWork(): string {
  const part = execFileSync('bzip2', ['-c'], { input: randomBytes(3_000_000), maxBuffer: 2 ** 30 });
  return work.save(Buffer.concat(Array<Buffer>(100).fill(part)));
}

/** Resolves once no process has `path` open or as its working directory. */
async function untilNobodyHas(path: string): Promise<void> {
  await until(`no process has ${path}`, () => spawnSync('fuser', ['-s', path]).status === 1);
}

it('an abort stops the extractor and its decompressor, and leaves nothing', async () => {
  const archive = longWork();
  const tree = work.path('tree');
  const controller = new AbortController();
  const reason = new Error('the client went away');
  const onProgress = () => {
    controller.abort(reason);
  };
  await expect(
    extractArchive(archive, tree, NO_LIMITS, { signal: controller.signal, onProgress }),
  ).rejects.toBe(reason);
  expect(existsSync(tree)).toBe(false);
  await untilNobodyHas(archive);
  await expect(
    extractArchive(archive, tree, NO_LIMITS, { signal: controller.signal }),
  ).rejects.toBe(reason);
  expect(existsSync(tree)).toBe(false);
});

it('the extractor ends when its parent process dies', async () => {
  const archive = longWork();
  const module = pathToFileURL(join(packageRoot, 'dist/datasets/archive/extract-archive.js')).href;
  const parent = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `import { extractArchive } from '${module}';
     await extractArchive('${archive}', '${work.path('tree')}', { maxBytes: 0, maxFiles: 0 },
       { onProgress: () => process.kill(process.pid, 'SIGKILL') });`,
  ]);
  const [, signal] = (await once(parent, 'exit')) as [null, string];
  expect(signal).toBe('SIGKILL');
  await untilNobodyHas(archive);
});

it('an existing tree is left alone', async () => {
  const tree = work.path('tree');
  mkdirSync(join(tree, 'mine'), { recursive: true });
  await expect(extractArchive(work.save(tar()), tree, NO_LIMITS)).rejects.toMatchObject({
    code: 'EEXIST',
  });
  expect(readdirSync(tree)).toEqual(['mine']);
});

it('a missing archive is an internal error, not a refusal', async () => {
  const tree = work.path('tree');
  await expect(extractArchive(work.path('none'), tree, NO_LIMITS)).rejects.toThrow(/ENOENT/);
  expect(existsSync(tree)).toBe(false);
});

(process.getuid?.() === 0 ? it : it.skip)(
  'everything gets the group, and all others get no access',
  async () => {
    const { tree } = await work.unpack(
      tar(folder('d'), file('d/e/f'), symlink('l', 'd/e/f'), file('g')),
      { fileGroup: 4242, durable: true },
    );
    for (const path of ['', 'd', 'd/e', 'd/e/f', 'g']) {
      const { gid, mode, nlink } = lstatSync(join(tree, path));
      const isFolder = ['', 'd', 'd/e'].includes(path);
      expect([gid, mode & 0o7777, isFolder || nlink === 1]).toEqual([
        4242,
        isFolder ? 0o750 : 0o640,
        true,
      ]);
    }
    const single = await work.unpack(work.save('plain text'), {
      fileGroup: 4242,
      originalName: 'f',
    });
    expect(lstatSync(join(single.tree, 'f'))).toMatchObject({ gid: 4242, nlink: 2 });
  },
);

it('names of the greatest allowed length and depth can be read and removed', async () => {
  const path = Array(250).fill('d').join('/');
  const { tree } = await work.unpack(tar(Buffer.concat([longName(path), file('x', 'deep')])));
  expect(Object.keys(contentsOf(tree))).toContain(path);
  expect(statSync(join(tree, path)).size).toBe(4);
});

function longName(name: string): Buffer {
  return extension('L', `${name}\0`);
}
