import { expect, test } from '@jest/globals';
import { tmpdir } from 'node:os';
import { Budget } from '../../src/datasets/archive/budget.js';
import { isTar } from '../../src/datasets/archive/detect.js';
import { entryPath } from '../../src/datasets/archive/entry-name.js';
import { LinkMap } from '../../src/datasets/archive/link-map.js';
import { parsePax } from '../../src/datasets/archive/pax.js';
import { checkSparse, paxSparse } from '../../src/datasets/archive/sparse.js';
import { TarReader } from '../../src/datasets/archive/tar-reader.js';
import type { TreeWriter } from '../../src/datasets/archive/tree-writer.js';
import { messageOf } from '../message-of.js';

/** A block of zeros but for its name, type and checksum. */
function header(name: string, type = '0', size = 0): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0, 'latin1');
  block.write(size.toString(8).padStart(11, '0'), 124);
  block.write(' '.repeat(8), 148);
  block.write(type, 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** Reads blocks of which no entry reaches the tree. */
const reading =
  (...blocks: Buffer[]) =>
  () => {
    const reader = new TarReader({} as TreeWriter);
    for (const block of blocks) reader.push(block);
    reader.end();
  };
const linking =
  (...links: [path: string, target: string][]) =>
  () => {
    const map = new LinkMap();
    for (const [path, target] of links) map.add(path, target);
    map.check();
  };
const budget = (maxBytes: number, maxFiles: number) =>
  new Budget({ maxBytes, maxFiles }, 1, tmpdir());
const named = (name: string) => () => entryPath(name, 3000);
const map = (value: string) => () =>
  paxSparse(
    [
      ['GNU.sparse.size', '10'],
      ['GNU.sparse.map', value],
    ],
    's',
  );
const zeros = Buffer.alloc(512);

test.each<[string, () => unknown]>([
  ['entry "" has an empty name', named('')],
  ['entry "a\\u{0}" has a NUL byte in its name', named('a\0')],
  ['entry "/x" has an absolute path; pack it with relative paths', named('/x')],
  ['entry "../x" has ".." in its path; pack it from inside its folder', named('../x')],
  [`entry "${'n'.repeat(160)}…" has a name longer than 255 bytes`, named(`${'n'.repeat(256)}`)],
  [
    `entry "${'d/'.repeat(80)}…" lies more than 256 folders deep; flatten it`,
    named(`${'d/'.repeat(256)}d`),
  ],
  [
    `entry "${'n'.repeat(160)}…" has a path longer than 3000 bytes; shorten it`,
    named(`${'n'.repeat(200)}/`.repeat(16)),
  ],
  ['entry "l" is a link with an empty target', linking(['l', ''])],
  ['entry "l" has a NUL byte in its link\'s target', linking(['l', 'a\0'])],
  ['entry "l" is a link whose target is too long', linking(['l', 'a'.repeat(4096)])],
  [
    'entry "l" is a link that leaves the tree (to "/etc"): the target is absolute',
    linking(['l', '/etc']),
  ],
  ['entry "l" is a link that leaves the tree (to "../x")', linking(['l', '../x'])],
  [
    'entry "k" is a link that leaves the tree (to "z/q/..") through another link',
    linking(['z/q', '../top'], ['top', '.'], ['k', 'z/q/..']),
  ],
  ['entry "a" is a link in a circle', linking(['a', 'a'])],
  [
    'entry "b" exceeds the limit of 1 files and folders; pack fewer or raise JR_MAX_EXTRACT_FILES',
    () => {
      const counted = budget(0, 1);
      counted.addEntry('a');
      counted.addEntry('b');
    },
  ],
  [
    'entry "b" takes the content over the limit of 9 bytes; pack less or raise JR_MAX_EXTRACT_GB',
    () => budget(9, 0).addBytes(10, 10, 'b'),
  ],
  [
    'entry "b" takes the content over 1000 times the archive\'s size, like a decompression bomb',
    () => budget(0, 0).addBytes(2 ** 34, 0, 'b'),
  ],
  [
    'it decompresses to more than 1000 times its size, like a decompression bomb',
    () => budget(0, 0).addStreamed(2 ** 34),
  ],
  ['a PAX header is malformed: the archive is corrupt', () => parsePax(Buffer.from('9 path=xy'))],
  ['entry "s" has a PAX header with an impossible "GNU.sparse.map"', map('x')],
  ['entry "s" has a malformed sparse map', map('1')],
  [
    'entry "s" has a sparse map that does not match its size',
    () => checkSparse({ realSize: 1, segments: [[0, 2]] }, 2, 's'),
  ],
  [
    'entry "s" has a sparse map that does not match its content',
    () => checkSparse({ realSize: 2, segments: [[0, 2]] }, 1, 's'),
  ],
  ['the tar is truncated', reading()],
  [
    'entry "label" is the last one read: the tar is truncated (it has no end marker)',
    reading(header('label', 'V')),
  ],
  ['the tar has a single block of zeros inside', reading(zeros, header('label', 'V'))],
  [
    'the tar continues after its end marker; pack everything into one tar',
    reading(zeros, zeros, header('label', 'V')),
  ],
  [
    'the tar ends after a header that describes a next entry',
    reading(header('long', 'L', 1), Buffer.alloc(512, 'x'), zeros),
  ],
  [
    'entry "n" has a header with a wrong checksum: the archive is corrupt',
    reading(Buffer.concat([header('x').fill('n', 0, 1)])),
  ],
  ['entry "d/" is a folder with content', reading(header('d/', '0', 1))],
  [
    'entry "n" is a device; only files, folders and links can be unpacked',
    reading(header('n', '3')),
  ],
  [
    'entry "n" is a named pipe; only files, folders and links can be unpacked',
    reading(header('n', '6')),
  ],
  ['entry "n" continues another volume; join the volumes first', reading(header('n', 'M'))],
  ['entry "n" is of an unknown type ("Q")', reading(header('n', 'Q'))],
  [
    'entry "n" has an extended header of 1048576 bytes, which is too large',
    reading(header('n', 'L', 2 ** 20)),
  ],
  [
    'the tar is corrupt: its first header is damaged',
    () => isTar(Buffer.concat([header('x').fill('n', 0, 1), zeros, zeros]), true),
  ],
])('archive refused: %s', (reason, act) => {
  expect(messageOf(act)).toBe(`archive refused: ${reason}`);
});
