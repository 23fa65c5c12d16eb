import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { compileApp } from './compiled-app.js';
import { DataServer, makeTempFolder, removeFolder, sha256Of } from './dataset-client.js';

// Filling a disk needs the right to mount one.
const describeAsRoot = process.getuid?.() === 0 ? describe : describe.skip;

describeAsRoot('on a full disk', () => {
  let app: Awaited<ReturnType<typeof compileApp>>;
  let server: DataServer;
  let root: string;
  let files: string;

  beforeAll(async () => {
    app = await compileApp();
    files = await makeTempFolder();
    root = await makeTempFolder();
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', root]);
    server = await DataServer.start(app.dataServer, { root });
  });

  afterAll(async () => {
    await server.stop();
    await execa('umount', [root]);
    await removeFolder(root);
    await removeFolder(files);
    await app.remove();
  });

  function fileOf(name: string, bytes: Buffer): { path: string; sha: string } {
    const path = join(files, name);
    writeFileSync(path, bytes);
    return { path, sha: sha256Of(bytes) };
  }

  async function expectNothingKept(sha: string): Promise<void> {
    expect(server.leftovers()).toEqual([]);
    expect(server.stored()).not.toContain(sha);
    const small = fileOf('small', randomBytes(1000));
    expect((await server.put(small.path, small.sha)).status).toBe(201);
  }

  const full = { status: 507, body: { error: { code: 'disk_full' } } };

  test('an upload that cannot fit is refused before it is read', async () => {
    const { path, sha } = fileOf('large', randomBytes(60 * 2 ** 20));
    expect(await server.put(path, sha)).toMatchObject(full);
    await expectNothingKept(sha);
  });

  test('an upload of unknown length that fills the disk is a 507', async () => {
    const { path, sha } = fileOf('large', randomBytes(60 * 2 ** 20));
    const put = await server.curl(
      `/datasets/${sha}`,
      '-T',
      path,
      '-H',
      'Transfer-Encoding: chunked',
    );
    expect(put).toMatchObject(full);
    await expectNothingKept(sha);
  });

  test('a form that fills the disk is a 507', async () => {
    const { path, sha } = fileOf('large', randomBytes(60 * 2 ** 20));
    expect(await server.upload(`file=@${path}`)).toMatchObject(full);
    await expectNothingKept(sha);
  });

  test('an archive that unpacks to more than the disk holds is a 507', async () => {
    const tree = join(files, 'tree');
    writeFileSync(tree, randomBytes(30 * 2 ** 20));
    const archive = join(files, 'packed.tar');
    await execa('tar', ['-cf', archive, '-C', files, 'tree']);
    const sha = sha256Of(readFileSync(archive));
    expect(await server.put(archive, sha)).toMatchObject(full);
    await rm(tree);
    await expectNothingKept(sha);
  });
});
