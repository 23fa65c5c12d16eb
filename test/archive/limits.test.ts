import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { extractArchive } from '../../src/datasets/archive/extract-archive.js';
import {
  NO_LIMITS,
  Workspace,
  file,
  folder,
  hardLink,
  header,
  make,
  pax,
  python,
  tar,
} from './support.js';

const work = new Workspace();
it('the limits of bytes and entries are accepted; one more is refused by name', async () => {
  const archive = tar(folder('d'), file('d/a', 'x'.repeat(60)), file('d/b', 'x'.repeat(40)));
  expect(await work.unpack(archive, {}, { maxBytes: 100, maxFiles: 3 })).toMatchObject({
    files: 2,
    bytes: 100,
  });
  const limits = { maxBytes: 99, maxFiles: 3 };
  expect(await work.refusal(archive, limits)).toMatch(/"d\/b".*\b99 bytes/);
  expect(await work.refusal(archive, { maxBytes: 0, maxFiles: 2 })).toMatch(/"d\/b".*\b2 files/);
  expect(
    await work.refusal(gzipSync(Buffer.alloc(5000, 'x')), { maxBytes: 4999, maxFiles: 0 }),
  ).toContain('4999');
});

it('unpacking stops at the owner’s room, with the figure', async () => {
  const archive = work.save(tar(file('a', 'x'.repeat(60)), file('b', 'x'.repeat(40))));
  const limits = (roomBytes: number) => ({ ...NO_LIMITS, roomBytes });
  const tree = work.path('room');
  await expect(extractArchive(archive, tree, limits(99))).rejects.toMatchObject({
    code: 'quota_exceeded',
  });
  expect(existsSync(tree)).toBe(false);
  expect(await extractArchive(archive, tree, limits(100))).toMatchObject({ bytes: 100 });
});

it('the copies that hard links make count', async () => {
  const archive = tar(file('f', 'x'.repeat(50)), hardLink('g', 'f'), hardLink('h', 'f'));
  const { tree, bytes } = await work.unpack(archive);
  expect(bytes).toBe(150);
  expect(readdirSync(tree).sort()).toEqual(['f', 'g', 'h']);
  expect(await work.refusal(archive, { maxBytes: 149, maxFiles: 0 })).toContain('"h"');
});

it('implied folders and repeated files count as entries', async () => {
  const again = Array.from({ length: 20 }, () => file('same'));
  expect(await work.refusal(tar(...again), { maxBytes: 0, maxFiles: 10 })).toContain('"same"');
  const nested = pax([['path', 'a/b/c/d/e']]);
  expect(await work.refusal(tar(nested, file('x')), { maxBytes: 0, maxFiles: 4 })).toContain(
    '"a/b/c',
  );
});

it('a bomb is refused before its file is begun, and before an endless tail is read', async () => {
  const zeros = 1_200_000_000;
  const packed = (prefix: Buffer) => {
    const path = work.path('bomb');
    writeFileSync(path, prefix);
    truncateSync(path, zeros);
    return execFileSync('zstd', ['-qc', path], { maxBuffer: 2 ** 20 });
  };
  const begun = packed(header({ name: 'bomb', size: zeros - 10_000 }));
  expect(await work.refusal(begun)).toMatch(/"bomb".*1000 times/);
  expect(await work.refused(packed(file('small')))).toEqual({
    entry: undefined,
    message: expect.stringContaining('1000 times') as string,
  });
});

it('a zip bomb with one content under many names is refused', async () => {
  const archive = work.path('bomb.zip');
  python(
    `import zipfile,sys
with zipfile.ZipFile(sys.argv[1],'w',zipfile.ZIP_DEFLATED) as z:
  z.writestr('f'*40,b'\\0'*50000000)
data=bytearray(open(sys.argv[1],'rb').read())
at=data.index(b'PK\\1\\2'); end=data.index(b'PK\\5\\6')
entry=bytes(data[at:end]); out=data[:at]
n=1000
for i in range(n): out+=entry
out+=b'PK\\5\\6'+bytes(4)+n.to_bytes(2,'little')*2+(len(entry)*n).to_bytes(4,'little')+at.to_bytes(4,'little')+b'\\0\\0'
open(sys.argv[1],'wb').write(out)`,
    archive,
  );
  expect(await work.refusal(archive)).toContain('overlaps');
});

it('an archive inside an archive stays packed', async () => {
  const inner = gzipSync(tar(file('deep')));
  const { tree } = await work.unpack(tar(file('inner.tar.gz', inner.toString('latin1'))));
  expect(readdirSync(tree)).toEqual(['inner.tar.gz']);
});

/** A disk that really fills up needs root and the right to mount. */
const disk = work.path('disk');
mkdirSync(disk);
const mounted =
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m,nr_inodes=50', 'tmpfs', disk]).status === 0;
afterAll(() => {
  if (mounted) make('umount', [disk]);
  work.remove();
});

(mounted ? it : it.skip)(
  'a disk that fills up during unpacking is reported, and nothing is left',
  async () => {
    const many = Array.from({ length: 60 }, (_, index) => file(`f${index}`));
    const growing = gzipSync(
      Buffer.from(Array.from({ length: 3_000_000 }, (_, index) => (index * index) % 251)),
    );
    const large = tar(file('large', 'x'.repeat(3_000_000)));
    for (const archive of [tar(...many), growing, large].map((content) => work.save(content))) {
      await expect(extractArchive(archive, join(disk, 'tree'), NO_LIMITS)).rejects.toMatchObject({
        code: 'disk_full',
      });
      expect(readdirSync(disk)).toEqual([]);
    }
  },
);
