import { transformFile } from '@swc/core';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const repository = resolve('.');

/**
 * Compiles the sources into a separate folder, so that a test can run the real service as a process
 * and kill it.
 */
export async function compileApp(): Promise<{ dataServer: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'jr-app-'));
  await symlink(join(repository, 'node_modules'), join(folder, 'node_modules'));
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  const sources = (await readdir(join(repository, 'src'), { recursive: true })).filter((path) =>
    path.endsWith('.ts'),
  );
  const compile = async (from: string, to: string) => {
    const { code } = await transformFile(join(repository, from), {
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      module: { type: 'es6' },
      swcrc: false,
    });
    await mkdir(dirname(join(folder, to)), { recursive: true });
    await writeFile(join(folder, to), code);
  };
  await Promise.all(
    sources.map((path) => compile(`src/${path}`, `dist/${path.replace(/ts$/, 'js')}`)),
  );
  await symlink('dist', join(folder, 'src'));
  await compile('test/owner-api.ts', 'test/owner-api.js');
  await compile('test/datasets/data-server.ts', 'test/datasets/data-server.js');
  return {
    dataServer: join(folder, 'test/datasets/data-server.js'),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
