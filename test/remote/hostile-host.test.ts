import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileWriter } from '../../src/machines/ssh-hosts/run/file-writer.js';
import { readListing, HostProtocolError } from '../../src/machines/ssh-hosts/run/listing.js';

/*
 * A host that lies. Its output is made up here, since our program does not lie. Everything that
 * reaches the disk passes through these two.
 */

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jr-hostile-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const there = '/home/x/jobrunner/jobs/i/1-c-0/out';
const sha = (content: string) => createHash('sha256').update(content).digest('hex');
const read = (...records: string[]) =>
  readListing(Buffer.from([...records, 'end', ''].join('\0'), 'latin1'), there, folder);
const file = (name: string, content: string) => [
  `file 644 ${content.length} 1700000000 ${name}`,
  'digests',
  `${sha(content)}  ${name}`,
  'files',
];

describe('a list of outputs', () => {
  test.each([
    ['..', './../x'],
    ['.. further down', './a/../../x'],
    ['an absolute path', '/etc/cron.d/x'],
    ['an absolute path after the dot', './/etc/x'],
    ['no name', './'],
    ['the folder itself', '.'],
    ['a name of 300 bytes', `./${'n'.repeat(300)}`],
    ['a second spelling of a name', './a/./x'],
  ])('with %s is refused', (_what, name) => {
    expect(() => read(...file(name, 'x'))).toThrow(HostProtocolError);
    expect(() => read(`folder ${name}`)).toThrow(HostProtocolError);
    expect(() => read(`link ${name}`, 'target')).toThrow(HostProtocolError);
  });

  test('in which a link is also a folder or file, or a file’s parent is no folder, is refused', () => {
    expect(() => read('folder ./a', 'link ./a', '/etc')).toThrow(/contradicts itself/);
    expect(() => read(...file('./a', 'x'), 'link ./a', 'b')).toThrow(/contradicts itself/);
    expect(() => read('link ./a', 'b', ...file('./a/x', 'x'))).toThrow(/contradicts itself/);
    expect(() => read('folder ./a/b')).toThrow(/contradicts itself/);
  });

  test('that is cut off or unreadable is refused', () => {
    expect(() => readListing(Buffer.from('folder ./a\0'), there, folder)).toThrow(/not complete/);
    expect(() => read('file 644 -5 0 ./a')).toThrow(/unreadable record/);
    expect(() => read('file 644 1e300 0 ./a')).toThrow(/unreadable record/);
    expect(() => read('surprise ./a')).toThrow(/unreadable record/);
    expect(() => read('digests', 'zz  ./a', 'files')).toThrow(/unreadable record/);
    expect(() => read('digests', `${sha('')}  ./a`)).toThrow(HostProtocolError);
  });

  test('keeps the links that stay inside, and names the others', () => {
    const { links, leftOut } = read(
      ...['folder ./a', 'link ./a/up', '../a', 'link ./out', '../../etc', 'link ./etc', '/etc'],
      ...['link ./own', `${there}/a`, 'link ./sly', `${there}/../x`, 'link ./near', `${there}x/a`],
    );
    expect(links).toEqual([
      { raw: 'a/up', target: '../a' },
      { raw: 'own', target: 'a' },
    ]);
    expect(leftOut.map((sentence) => sentence.split(' ')[0])).toEqual([
      '"out"',
      '"etc"',
      '"sly"',
      '"near"',
    ]);
  });

  test('keeps no link when they lead out together', () => {
    const { links, leftOut } = read('folder ./a', 'link ./a/l', '..', 'link ./m', 'a/l/../../x');
    expect(links).toEqual([]);
    expect(leftOut.join()).toMatch(/all are skipped/);
  });
});

describe('content', () => {
  test('with a wrong digest is not kept', () => {
    const listing = read(...file('./a', 'right'), ...file('./b', 'other'));
    const writer = new FileWriter(folder, listing);
    writer.write(Buffer.from('right'));
    expect(() => {
      writer.write(Buffer.from('wrong'));
    }).toThrow(/"b" arrived with another digest/);
    writer.end();
    expect(readdirSync(folder)).toEqual(['a']);
  });

  test('beyond the listed size is refused, and half a file is not kept', () => {
    const writer = new FileWriter(folder, read(...file('./a', 'abc')));
    expect(() => {
      writer.write(Buffer.from('abcd'));
    }).toThrow(/more bytes than it had listed/);
    const half = new FileWriter(join(folder), read(...file('./h', 'abc')));
    half.write(Buffer.from('ab'));
    expect(half.missing).toEqual({ names: ['h'], offset: 2 });
    half.end();
    expect(readdirSync(folder)).toEqual(['a']);
  });

  test('in chunks of any size arrives unchanged, also with empty files', () => {
    const listing = read(
      'folder ./d',
      ...file('./empty', ''),
      ...file('./d/one', 'first'),
      ...file('./d/\xff\n', 'second'),
      ...file('./last', ''),
    );
    const writer = new FileWriter(folder, listing);
    for (const byte of Buffer.from('firstsecond')) writer.write(Buffer.from([byte]));
    expect(writer.missing.names).toEqual([]);
    writer.makeLinks();
    expect(readdirSync(folder).sort()).toEqual(['d', 'empty', 'last']);
    expect(readFileSync(Buffer.from(`${folder}/d/\xff\n`, 'latin1'), 'utf8')).toBe('second');
  });
});
