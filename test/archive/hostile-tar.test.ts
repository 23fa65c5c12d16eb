import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  END,
  Workspace,
  checksummed,
  contentsOf,
  extension,
  file,
  folder,
  hardLink,
  header,
  padded,
  pax,
  symlink,
  tar,
} from './support.js';

const work = new Workspace();
afterAll(() => {
  work.remove();
});

const deep = (levels: number) => Array(levels).fill('d').join('/');
const blaming: [behaviour: string, parts: Buffer[], entry: string, reason: string][] = [
  ['an absolute path', [file('/etc/x')], '/etc/x', 'absolute'],
  ['a path with ..', [file('a/../../x')], 'a/../../x', '".."'],
  ['a bare ..', [folder('..')], '..', '".."'],
  ['.. from a ustar prefix', [header({ name: 'x', prefix: '..' })], '../x', '".."'],
  ['.. from a PAX path', [pax([['path', '../x']]), file('fine')], '../x', '".."'],
  ['.. from a GNU long name', [extension('L', '../x\0'), file('fine')], '../x', '".."'],
  [
    '.. from a sparse name',
    [
      pax([
        ['GNU.sparse.name', '../s'],
        ['GNU.sparse.size', '1'],
        ['GNU.sparse.map', '0,1'],
      ]),
      file('fine'),
    ],
    '../s',
    '".."',
  ],
  ['a NUL in a PAX path', [pax([['path', 'a\0b']]), file('fine')], 'a\\u{0}b', 'NUL'],
  ['a NUL in a GNU long name', [extension('L', 'a\0b\0'), file('fine')], 'a\\u{0}b', 'NUL'],
  ['an empty name', [file('')], '', 'empty name'],
  ['a file for the root', [file('./')], './', 'folder with content'],
  ['a file called .', [file('.')], '.', 'replace a folder'],
  ['an absolute link', [symlink('l', '/etc/passwd')], 'l', '"/etc/passwd"'],
  ['a link with ..', [symlink('a/l', '../../x')], 'a/l', 'leaves the tree'],
  ['a link that leaves through its parent', [symlink('l', '..')], 'l', 'leaves the tree'],
  ['a link that leaves and comes back', [symlink('l', '../tree/x')], 'l', 'leaves the tree'],
  [
    'a link that leaves through another link',
    [folder('a/b'), symlink('up', 'a/b'), symlink('l', 'up/../../..')],
    'l',
    'leaves the tree',
  ],
  [
    'a chain of links that leaves',
    [folder('a/b/c'), symlink('a/b/c/one', '..'), symlink('a/two', 'b/c/one/../../..')],
    'a/two',
    'through another link',
  ],
  [
    'a deep link through a shallow link',
    [
      folder('d/e/f'),
      symlink('s', 'd'),
      symlink('d/e/f/l', '../../../s/../x'),
      symlink('d/m', '../d/e/../../s/../..'),
    ],
    'd/m',
    'leaves the tree',
  ],
  [
    'a link that leaves only when followed',
    [symlink('z/q', '../top'), symlink('top', '.'), symlink('k', 'z/q/..')],
    'k',
    'through another link',
  ],
  ['links in a circle', [symlink('a', 'b'), symlink('b', 'a')], 'a', 'circle'],
  ['a link to itself', [symlink('a', 'a')], 'a', 'circle'],
  ['a link to nothing', [symlink('a', '')], 'a', 'an empty target'],
  ['a NUL in a link’s target', [pax([['linkpath', 'a\0b']]), symlink('l', 'x')], 'l', 'NUL'],
  ['a file through a link', [symlink('l', '.'), file('l/x')], 'l/x', 'through a link'],
  ['a file over a link', [symlink('l', 'x'), file('l')], 'l', 'replace a link'],
  ['a folder over a link', [symlink('l', '.'), folder('l')], 'l', 'through a link'],
  ['a link over a file', [file('x'), symlink('x', 'y')], 'x', 'earlier file'],
  ['a link over a folder', [folder('x'), symlink('x', 'y')], 'x', 'replace a folder'],
  ['a link over another link', [symlink('x', 'y'), symlink('x', 'z')], 'x', 'replace a link'],
  [
    'a hard link over a link',
    [file('f'), symlink('x', 'y'), hardLink('x', 'f')],
    'x',
    'replace a link',
  ],
  ['a file over a folder', [folder('x'), file('x')], 'x', 'replace a folder'],
  ['a file over an implied folder', [file('x/y'), file('x')], 'x', 'replace a folder'],
  ['a folder over a file', [file('x'), folder('x')], 'x', 'where a file is'],
  ['a file below a file', [file('x'), file('x/y')], 'x/y', 'where a file is'],
  ['an absolute hard link', [hardLink('h', '/etc/passwd')], 'h', 'absolute'],
  ['a hard link with ..', [hardLink('h', '../../etc/passwd')], 'h', '".."'],
  ['a hard link to nothing', [hardLink('h', 'x')], 'h', 'no earlier file'],
  ['a hard link to a path below a file', [file('x'), hardLink('h', 'x/y')], 'h', 'no earlier file'],
  ['a hard link to a folder', [folder('x'), hardLink('h', 'x')], 'h', 'no earlier file'],
  [
    'a hard link through a link',
    [folder('d'), file('d/f'), symlink('l', 'd'), hardLink('h', 'l/f')],
    'h',
    'no earlier file',
  ],
  [
    'a hard link to a link, moved to leave',
    [symlink('a/b/l', '../../x'), hardLink('h', 'a/b/l')],
    'h',
    'leaves the tree',
  ],
  ['a character device', [header({ name: 'n', type: '3' })], 'n', 'device'],
  ['a block device', [header({ name: 'n', type: '4' })], 'n', 'device'],
  ['a fifo', [header({ name: 'n', type: '6' })], 'n', 'named pipe'],
  ['a multi-volume part', [header({ name: 'n', type: 'M' })], 'n', 'volume'],
  ['an unknown type', [header({ name: 'n', type: 'Q' })], 'n', '("Q")'],
  ['an unprintable type', [header({ name: 'n', type: '\x1b' })], 'n', '("\\x1b")'],
  [
    'a name part of 256 bytes',
    [pax([['path', 'n'.repeat(256)]]), file('f')],
    'n'.repeat(160) + '…',
    '255',
  ],
  [
    'a path of 5,000 bytes',
    [pax([['path', `${'n'.repeat(200)}/`.repeat(25) + 'x']]), file('f')],
    `${'n'.repeat(160)}…`,
    'path longer',
  ],
  ['257 levels', [pax([['path', deep(257)]]), file('f')], `${deep(80)}/…`, '256'],
  [
    'a bad checksum in a later header',
    [file('ok'), Buffer.concat([Buffer.from('evil'), file('x').subarray(4)])],
    'evil',
    'checksum',
  ],
  ['a negative size', [Buffer.from(negativeSize())], 'n', 'impossible size'],
  [
    'an astronomic size',
    [pax([['size', '99999999999999999']]), file('f')],
    'f',
    'impossible "size"',
  ],
  ['a size that is no number', [pax([['size', '1e3']]), file('f')], 'f', 'impossible "size"'],
  ['a folder with content', [file('d/', 'xyz')], 'd/', 'folder with content'],
  [
    'a huge extended header',
    [header({ name: 'big', type: 'x', size: 2 ** 30 })],
    'big',
    'too large',
  ],
  ['a huge long name', [header({ name: 'big', type: 'L', size: 2 ** 20 })], 'big', 'too large'],
  [
    'control characters in a name',
    [file('/\x1b[31m\u0007\nx')],
    '/\\u{1b}[31m\\u{7}\\u{a}x',
    'absolute',
  ],
  ['holes beyond the size', [sparse('0,1,9,9', 10, 'x'.repeat(10))], 's', 'its size'],
  ['holes out of order', [sparse('5,1,0,1', 10, 'xx')], 's', 'its size'],
  ['holes that do not fit the content', [sparse('0,1', 10, 'xx')], 's', 'its content'],
  ['a malformed map of holes', [sparse('0,1,2', 10, 'xx')], 's', 'sparse map'],
  ['a map of holes without an end', [sparse1('999999\n')], 's', 'without an end'],
  ['a map of holes without numbers', [sparse1('x\ny\n'.padEnd(512))], 's', 'impossible'],
];

function negativeSize(): Buffer {
  const block = header({ name: 'n' });
  block.fill(0xff, 124, 136);
  return checksummed(block);
}

function sparse(map: string, size: number, content: string): Buffer {
  const records = pax([
    ['GNU.sparse.size', String(size)],
    ['GNU.sparse.map', map],
  ]);
  return Buffer.concat([records, file('s', content)]);
}

function sparse1(map: string): Buffer {
  const records = pax([
    ['GNU.sparse.major', '1'],
    ['GNU.sparse.minor', '0'],
    ['GNU.sparse.realsize', '10'],
  ]);
  return Buffer.concat([records, file('s', map)]);
}

it.each(blaming)('%s is refused by name', async (_behaviour, parts, entry, reason) => {
  const { message, ...blamed } = await work.refused(tar(file('before'), ...parts, file('after')));
  expect(blamed).toEqual({ entry });
  expect(message).toContain(reason);
  expect(message.length).toBeLessThan(600);
});

it.each([
  ['a malformed PAX record', [extension('x', '99 path=x\n'), file('f')], 'malformed'],
  ['a PAX record without an end', [extension('x', '9 path=xy'), file('f')], 'malformed'],
  ['a PAX header without an entry', [pax([['path', 'x']])], 'next entry'],
  ['a lone zero block', [Buffer.alloc(512), file('f')], 'zeros'],
] as const)('%s is refused', async (_behaviour, parts, reason) => {
  expect(await work.refusal(tar(file('before'), ...parts))).toContain(reason);
});

it('a tar without its end marker is refused as truncated', async () => {
  expect(await work.refusal(file('whole'))).toContain('"whole"');
  expect(await work.refusal(Buffer.concat([file('a'), END.subarray(512)]))).toContain('truncated');
});

it('nothing is written outside the tree', async () => {
  const canary = join(work.dir, 'canary');
  for (const parts of [
    [symlink('l', '..'), file('l/canary')],
    [symlink('l', work.dir), file('l/canary')],
    [file('../canary')],
    [file(canary)],
  ])
    await work.refusal(tar(...parts));
  expect(existsSync(canary)).toBe(false);
});

it('links inside the tree are kept, also dangling and roundabout ones', async () => {
  const { tree } = await work.unpack(
    tar(
      file('d/f', 'here'),
      symlink('l', 'd/f'),
      symlink('d/up', '..'),
      symlink('through', 'd/up/d/f'),
      symlink('gone', 'not/packed'),
      symlink('root', '.'),
      symlink('l', 'd/f'),
      symlink('below-file', 'd/f/x'),
    ),
  );
  expect(contentsOf(tree)).toMatchObject({
    l: 'link d/f',
    'd/up': 'link ..',
    gone: 'link not/packed',
  });
  expect(readFileSync(join(tree, 'through'), 'utf8')).toBe('here');
});

it('of two files with one name the later one stays, and counts once', async () => {
  const result = await work.unpack(tar(file('f', 'first one'), file('./f', 'second')));
  expect(result).toMatchObject({ files: 1, bytes: 6 });
  expect(readFileSync(join(result.tree, 'f'), 'utf8')).toBe('second');
});

it('global PAX values apply to all later entries, and an entry’s own empty value removes one', async () => {
  const { tree } = await work.unpack(
    tar(
      pax(
        [
          ['comment', 'c'],
          ['path', 'global'],
        ],
        'g',
      ),
      file('a', 'A'),
      pax([['path', '']]),
      file('b', 'B'),
    ),
  );
  expect(Object.keys(contentsOf(tree))).toEqual(['b', 'global']);
});

it('a PAX value may hold newlines and bytes that are not UTF-8', async () => {
  const { tree } = await work.unpack(tar(pax([['path', 'a\n9 b=c\n\xff']]), file('x')));
  expect(Object.keys(contentsOf(tree))).toEqual(['a\n9 b=c\n\xff']);
});

it('a contiguous file is a file, a volume label is skipped, and a v7 folder ends in a slash', async () => {
  const { tree } = await work.unpack(
    tar(
      header({ name: 'label', type: 'V', magic: 'ustar  \0' }),
      Buffer.concat([header({ name: 'c', type: '7', size: 1 }), padded('c')]),
      header({ name: 'v7/', type: '\0', magic: '' }),
      header({ name: 'v7/f', type: '\0', magic: '' }),
    ),
  );
  expect(Object.keys(contentsOf(tree))).toEqual(['c', 'v7', 'v7/f']);
});
