import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { tarEnd, tarHeader, tarPadding } from '../../src/datasets/import/tar.js';

const modified = new Date('2024-05-06T07:08:09.987Z');

it('GNU tar reads the entries, and their bytes are always the same', async () => {
  const deep = `${'d'.repeat(120)}/${'f'.repeat(200)}.bin`;
  const body = Buffer.from('hello');
  const archive = () =>
    Buffer.concat([
      tarHeader('folder', 'folder', 0, modified),
      ...['plain.txt', 'ünïcode & space', deep].flatMap((path) => [
        tarHeader(path, 'file', body.length, modified),
        body,
        tarPadding(body.length),
      ]),
      tarEnd,
    ]);
  expect(archive().equals(archive())).toBe(true);
  const dir = await mkdtemp(join(tmpdir(), 'jr-tar-'));
  try {
    const file = join(dir, 'x.tar');
    await writeFile(file, archive());
    const options = ['--utc', '--full-time', '--numeric-owner', '--quoting-style=literal'];
    const { stdout } = await execa('tar', [...options, '-tvf', file]);
    const facts = stdout.split('\n').map((line) => line.replace(/ +/g, ' '));
    const time = '2024-05-06 07:08:09';
    expect(facts).toEqual([
      `drwxr-xr-x 0/0 0 ${time} folder/`,
      `-rw-r--r-- 0/0 5 ${time} plain.txt`,
      `-rw-r--r-- 0/0 5 ${time} ünïcode & space`,
      `-rw-r--r-- 0/0 5 ${time} ${deep}`,
    ]);
  } finally {
    await rm(dir, { recursive: true });
  }
});

it('an object over 8 GiB gets its size in a PAX header', () => {
  const header = tarHeader('large', 'file', 9 * 1024 ** 3, modified);
  expect(header.length).toBe(3 * 512);
  expect(header.toString('latin1')).toContain(' size=9663676416\n');
});

it('content that fills its last block gets no padding', () => {
  expect([0, 1, 511, 512, 513].map((size) => tarPadding(size).length)).toEqual([0, 511, 1, 0, 511]);
});
