import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Workspace, make } from './support.js';

const work = new Workspace();
const SUFFIXES = ['tar', 'tar.gz', 'tar.bz2', 'tar.xz', 'tar.lzma', 'tar.zst', 'zip'];

beforeAll(() => {
  const source = join(work.dir, 'source');
  mkdirSync(source);
  for (const name of ['one', 'two', 'three']) {
    let seed = name.length;
    const noise = Array.from({ length: 3000 }, () => (seed = (seed * 48271) % 2147483647) % 256);
    writeFileSync(join(source, name), Buffer.from(noise));
  }
  make('tar', ['-cf', `${work.dir}/s.tar`, '-b1', '-C', source, 'one', 'two', 'three']);
  make('gzip', ['-k', 's.tar'], work.dir);
  make('bzip2', ['-k', 's.tar'], work.dir);
  make('xz', ['-k', 's.tar'], work.dir);
  make('xz', ['-k', '--format=lzma', 's.tar'], work.dir);
  make('zstd', ['-kq', 's.tar'], work.dir);
  make('zip', ['-qr', '../s.zip', '.'], source);
});
afterAll(() => {
  work.remove();
});

/** If the cut is below this, the rest no longer shows its format and is kept as a plain file. */
const SMALLEST: Record<string, number> = { tar: 263, 'tar.lzma': 14, 'tar.bz2': 10 };

it.each(SUFFIXES)('a %s that is cut off anywhere is refused', async (suffix) => {
  const whole = readFileSync(join(work.dir, `s.${suffix}`));
  const from = SMALLEST[suffix] ?? 6;
  const lengths = [from, whole.length - 1, whole.length - 8, whole.length - 512];
  for (let step = 1; step <= 12; step++)
    lengths.push(from + Math.floor(((whole.length - from - 1) * step) / 13));
  // A tar may only lose part of its end marker's padding, and this one has no padding.
  const refusals = lengths.map((length) => work.refusal(whole.subarray(0, length)));
  for (const message of await Promise.all(refusals)) expect(message).toMatch(/truncated|corrupt/);
});

it.each(SUFFIXES.filter((suffix) => suffix !== 'tar' && suffix !== 'tar.lzma'))(
  'a %s with one wrong byte is refused',
  async (suffix) => {
    const whole = readFileSync(join(work.dir, `s.${suffix}`));
    const refusals = Array.from({ length: 10 }, (_, step) => {
      const damaged = Buffer.from(whole);
      const at = 12 + Math.floor(((whole.length - 40) * (step + 1)) / 11);
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      return work.refusal(damaged);
    });
    for (const message of await Promise.all(refusals)) expect(message).toContain('archive refused');
  },
);

it('a tar with a wrong byte in any header is refused', async () => {
  const whole = readFileSync(join(work.dir, 's.tar'));
  const spots = [0, 512 + 3072, 2 * (512 + 3072)].flatMap((start) =>
    [0, 100, 130, 150, 156, 500].map((at) => start + at),
  );
  const refusals = spots.map((at) => {
    const damaged = Buffer.from(whole);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    return work.refusal(damaged);
  });
  for (const message of await Promise.all(refusals)) expect(message).toMatch(/corrupt|damaged/);
});

describe('data after a gzip member', () => {
  const one = () => readFileSync(join(work.dir, 's.tar.gz'));
  const nothing = gzipSync(Buffer.alloc(0));

  it('may be zeros, the padding of tapes and gzip(1)', async () => {
    for (const zeros of [1, 511, 300_000]) {
      const result = await work.unpack(Buffer.concat([one(), Buffer.alloc(zeros)]));
      expect(result).toMatchObject({ format: 'tar.gz', files: 3 });
    }
  });

  it.each([
    ['another byte', Buffer.from('x')],
    ['half a magic', Buffer.from([0x1f])],
    ['a magic and no more', Buffer.from([0x1f, 0x8b])],
    ['a member without its last byte', nothing.subarray(0, -1)],
    ['a member with a wrong size', Buffer.concat([nothing.subarray(0, -1), Buffer.from([1])])],
    ['data after zeros', Buffer.concat([Buffer.alloc(300_000), Buffer.from('x')])],
    ['a member after zeros', Buffer.concat([Buffer.alloc(4), nothing])],
  ])('may not be %s', async (_, rest) => {
    expect(await work.refusal(Buffer.concat([one(), rest]))).toContain('gz stream');
  });

  it('is found wherever a chunk of input ends', async () => {
    const tar = readFileSync(join(work.dir, 's.tar'));
    const [first, second] = [gzipSync(tar.subarray(0, 5000)), gzipSync(tar.subarray(5000))];
    for (const shift of [-1, 0, 1]) {
      // A comment of that length (RFC 1952, FCOMMENT) puts the second member at the end of a chunk.
      const comment = Buffer.alloc(2 ** 18 - first.length - 1 + shift, 'c');
      const longer = Buffer.concat([
        first.subarray(0, 10),
        comment,
        Buffer.of(0),
        first.subarray(10),
      ]);
      longer[3] = 0x10;
      const result = await work.unpack(Buffer.concat([longer, second]));
      expect(result).toMatchObject({ format: 'tar.gz', files: 3 });
      expect(await work.refusal(Buffer.concat([longer, Buffer.from('x')]))).toContain('gz stream');
    }
  });
});
