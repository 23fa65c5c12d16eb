import {
  closeSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { Workspace, checksummed, contentsOf, file, header, make, padded, tar } from './support.js';

const work = new Workspace();
afterAll(() => {
  work.remove();
});

/**
 * Files with holes at the start, in the middle, at the end, everywhere, and more holes than one
 * header can list.
 */
function plant(): string {
  const dir = work.path('sparse');
  make('mkdir', [dir]);
  const write = (name: string, size: number, pieces: readonly [number, number][]) => {
    const fd = openSync(join(dir, name), 'w');
    for (const [offset, length] of pieces)
      writeSync(fd, Buffer.alloc(length, name), 0, length, offset);
    ftruncateSync(fd, size);
    closeSync(fd);
  };
  write('start', 1_000_000, [[900_000, 100_000]]);
  write('middle', 1_000_000, [
    [0, 10],
    [999_000, 1000],
  ]);
  write('end', 3_000_000, [[4096, 5000]]);
  write('all', 2 ** 20, []);
  const many = Array.from({ length: 300 }, (_, index) => [index * 40_960, 4096 + index] as const);
  write(
    `many-${'x'.repeat(120)}`,
    300 * 40_960,
    many.map(([offset, length]) => [offset, length]),
  );
  writeFileSync(join(dir, 'dense'), 'no holes');
  return dir;
}

it.each([
  ['gnu', []],
  ['oldgnu', []],
  ['posix', ['--sparse-version=0.0']],
  ['posix', ['--sparse-version=0.1']],
  ['posix', ['--sparse-version=1.0']],
])('files with holes in %s %j unpack unchanged and keep their holes', async (format, extra) => {
  const dir = plant();
  const archive = work.path('s.tar');
  make('tar', ['-cf', archive, '--sparse', `--format=${format}`, ...extra, '-C', dir, '.']);
  expect(statSync(archive).size).toBeLessThan(4_000_000);
  const { tree } = await work.unpack(archive);
  expect(contentsOf(tree)).toEqual(contentsOf(dir));
  expect(lstatSync(join(tree, 'all')).blocks).toBe(0);
});

it('a file of more than 8 GiB has its size in base 256', async () => {
  const size = 9 * 2 ** 30;
  const block = header({ name: 'huge', type: 'S', magic: 'ustar  \0' });
  block.write('00000000001\0', 386 + 12);
  block.fill(0, 483, 495);
  block[483] = 0x80;
  block.writeUIntBE(size, 489, 6);
  block.write('00000000001\0', 124);
  const { tree, bytes } = await work.unpack(
    tar(
      checksummed(block),
      padded('!'),
      ...Array.from({ length: 10 }, (_, index) => file(`pad${index}`, 'x'.repeat(999_999))),
    ),
  );
  expect(bytes).toBe(size + 9_999_990);
  expect(statSync(join(tree, 'huge')).size).toBe(size);
  expect(readFileSync(join(tree, 'pad3')).length).toBe(999_999);
});

it('holes count against the byte limit, and a file of nothing but holes counts as a bomb', async () => {
  const archive = work.path('s.tar');
  make('tar', ['-cf', archive, '--sparse', '-C', plant(), '.']);
  expect(await work.refusal(archive, { maxBytes: 5_000_000, maxFiles: 0 })).toContain(
    '5000000 bytes',
  );
  const big = work.path('big');
  make('truncate', ['-s', '3G', big]);
  make('tar', ['-cf', archive, '--sparse', '-C', work.dir, big.slice(work.dir.length + 1)]);
  expect(await work.refusal(archive)).toContain('1000 times');
});
