import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { compileApp } from './compiled-app.js';
import { DataServer, makeTempFolder, removeFolder, sha256Of } from './dataset-client.js';

// Only root can act as other users.
const describeAsRoot = process.getuid?.() === 0 ? describe : describe.skip;
/** Stand-ins for the user and group of jobs. */
const JOB_USER = 4242;
const JOB_GROUP = 4243;

describeAsRoot('a user who shares only the group of the datasets folder', () => {
  let app: Awaited<ReturnType<typeof compileApp>>;
  let server: DataServer;
  let files: string;
  let sha: string;

  beforeAll(async () => {
    app = await compileApp();
    files = await makeTempFolder();
    const root = await makeTempFolder();
    chmodSync(root, 0o755);
    mkdirSync(join(root, 'datasets'));
    chownSync(join(root, 'datasets'), 0, JOB_GROUP);
    chmodSync(join(root, 'datasets'), 0o2750);
    server = await DataServer.start(app.dataServer, { root });
    mkdirSync(join(files, 'sub'));
    writeFileSync(join(files, 'sub/a.bin'), randomBytes(100), { mode: 0o777 });
    await execa('tar', ['-cf', join(files, 'a.tar'), '-C', files, 'sub']);
    sha = sha256Of(readFileSync(join(files, 'a.tar')));
    await server.put(join(files, 'a.tar'), sha);
  });

  afterAll(async () => {
    await server.stop();
    await removeFolder(server.root);
    await removeFolder(files);
    await app.remove();
  });

  const asJob = async (...command: string[]) => {
    const { exitCode } = await execa(
      'setpriv',
      [`--reuid=${JOB_USER}`, `--regid=${JOB_GROUP}`, '--clear-groups', ...command],
      { reject: false },
    );
    return exitCode === 0;
  };

  test('reads original and tree', async () => {
    const folder = server.folderOf(sha);
    expect(await asJob('cat', join(folder, 'original'))).toBe(true);
    expect(await asJob('cat', join(folder, 'tree/sub/a.bin'))).toBe(true);
    expect(await asJob('ls', join(folder, 'tree/sub'))).toBe(true);
    expect(statSync(join(folder, 'original')).mode & 0o777).toBe(0o640);
  });

  test('cannot write, add, rename or delete anything', async () => {
    const folder = server.folderOf(sha);
    expect(await asJob('touch', join(folder, 'original'))).toBe(false);
    expect(await asJob('touch', join(folder, 'tree/sub/a.bin'))).toBe(false);
    expect(await asJob('touch', join(folder, 'tree/new'))).toBe(false);
    expect(await asJob('mv', folder, `${folder}x`)).toBe(false);
    expect(await asJob('rm', join(folder, 'tree/sub/a.bin'))).toBe(false);
  });

  test('does not see unfinished datasets', async () => {
    expect(await asJob('ls', join(server.root, 'datasets/.incoming'))).toBe(false);
    expect(await asJob('ls', join(server.root, 'datasets/.trash'))).toBe(false);
  });

  test('other users read nothing', async () => {
    const { exitCode } = await execa(
      'setpriv',
      [
        '--reuid=4242',
        '--regid=4242',
        '--clear-groups',
        'cat',
        join(server.folderOf(sha), 'original'),
      ],
      { reject: false },
    );
    expect(exitCode).not.toBe(0);
  });
});
