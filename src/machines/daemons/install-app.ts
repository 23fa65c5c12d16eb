import {
  cpSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { packageRoot } from '../../config/package-root.js';
import type { Layout } from '../../config/layout.js';

export interface Installation {
  node: string;
  root: string;
}

/**
 * Finds program files that the API's user and the jobs' users can read. They cannot read a clone in
 * /root, or a Node in root's home; then both are copied to `JR_ROOT/app`, once per build.
 */
export async function installApp(layout: Layout): Promise<Installation> {
  const here = { node: process.execPath, root: packageRoot };
  if (await isOpen(here)) return here;

  const there = { node: join(layout.app, 'bin', 'node'), root: layout.app };
  const stamp = [
    packageRoot,
    process.version,
    statSync(join(packageRoot, 'dist/main.js')).mtimeMs,
  ].join(' ');
  const stampFile = join(layout.app, 'stamp');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return there;

  const fresh = `${layout.app}.new`;
  rmSync(fresh, { recursive: true, force: true });
  for (const part of ['package.json', 'dist', 'libexec', 'templates', 'node_modules'])
    cpSync(join(packageRoot, part), join(fresh, part), { recursive: true, verbatimSymlinks: true });
  cpSync(process.execPath, join(fresh, 'bin', 'node'));
  await execa('chmod', ['-R', 'u=rwX,go=rX', fresh]);
  await execa('chown', ['-R', 'root:root', fresh]);
  writeFileSync(join(fresh, 'stamp'), stamp);
  rmSync(layout.app, { recursive: true, force: true });
  renameSync(fresh, layout.app);
  return there;
}

async function isOpen({ node, root }: Installation): Promise<boolean> {
  const asJobrunner = await execa(
    'setpriv',
    [
      '--reuid=jobrunner',
      '--regid=jobrunner',
      '--init-groups',
      node,
      '--check',
      join(root, 'dist/main.js'),
    ],
    { reject: false, cwd: '/' },
  );
  const asRunner = await execa(
    'setpriv',
    [
      '--reuid=runner',
      '--regid=runner',
      '--init-groups',
      'find',
      join(root, 'templates'),
      '-type',
      'f',
      '!',
      '-readable',
    ],
    { reject: false, cwd: '/' },
  );
  return !asJobrunner.failed && !asRunner.failed && asRunner.stdout === '';
}
