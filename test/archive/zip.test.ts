import { execFileSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import { Workspace, contentsOf, make, python } from './support.js';

const work = new Workspace();
const source = join(work.dir, 'source');
beforeAll(() => {
  mkdirSync(join(source, 'd/ünï/empty'), { recursive: true });
  writeFileSync(join(source, 'd/a.txt'), 'hello '.repeat(100));
  writeFileSync(join(source, 'd/ünï/日本語'), 'unicode');
  writeFileSync(join(source, 'd/big'), Buffer.alloc(6_000_000, 'big data, '));
  writeFileSync(join(source, 'd/none'), '');
  writeFileSync(join(source, 'run.sh'), '#!/bin/sh\n');
  chmodSync(join(source, 'run.sh'), 0o4755);
  symlinkSync('d/a.txt', join(source, 'link'));
});
afterAll(() => {
  work.remove();
});

interface ZipEntry {
  name: string;
  content?: Buffer;
  /** Overrides fields of the headers. */
  flags?: number;
  method?: number;
  crc?: number;
  size?: number;
  mode?: number;
  host?: number;
  localName?: string;
  offset?: number;
}

/** Makes a zip by hand, of deflated entries whose headers may lie. */
function zip(entries: readonly ZipEntry[], count = entries.length): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const entry of entries) {
    const content = entry.content ?? Buffer.from('content');
    const packed = deflateRawSync(content);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(entry.flags ?? 0, 2);
    fields.writeUInt16LE(entry.method ?? 8, 4);
    fields.writeUInt16LE(0x5421, 8);
    fields.writeUInt32LE(entry.crc ?? crc32(content), 10);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(entry.size ?? content.length, 18);
    const localName = Buffer.from(entry.localName ?? entry.name, 'latin1');
    const name = Buffer.from(entry.name, 'latin1');
    const local = Buffer.from(fields);
    local.writeUInt16LE(localName.length, 22);
    fields.writeUInt16LE(name.length, 22);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(((entry.mode ?? 0o100644) << 16) >>> 0, 6);
    tail.writeUInt32LE(entry.offset ?? at, 10);
    directory.push(
      Buffer.from('PK\x01\x02'),
      Buffer.from([20, entry.host ?? 3]),
      fields,
      tail,
      name,
    );
    const stored = Buffer.concat([Buffer.from('PK\x03\x04'), local, localName, packed]);
    parts.push(stored);
    at += stored.length;
  }
  const list = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(list.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, list, end]);
}

it('a zip by Info-ZIP unpacks to the packed files, with links and modes', async () => {
  const archive = work.path('s.zip');
  make('zip', ['-qry', archive, '.'], source);
  const { tree, format } = await work.unpack(archive);
  expect(format).toBe('zip');
  expect(contentsOf(tree)).toEqual(contentsOf(source));
  expect(lstatSync(join(tree, 'run.sh')).mode & 0o7777).toBe(0o750);
  expect(lstatSync(join(tree, 'd/a.txt')).mtimeMs).toBeCloseTo(
    Math.floor(lstatSync(join(source, 'd/a.txt')).mtimeMs / 1000) * 1000,
    -4,
  );
});

it('zips by Python unpack: stored, streamed with sizes after the content, and zip64', async () => {
  const archive = work.path('p.zip');
  python(
    `import zipfile,sys,io
class Pipe(io.RawIOBase):
  def __init__(s,f): s.f=f
  def writable(s): return True
  def write(s,b): return s.f.write(b)
with open(sys.argv[1],'wb') as f, zipfile.ZipFile(Pipe(f),'w') as z:
  z.writestr('stored','s'*1000)
  z.writestr('deflated','d'*1000,zipfile.ZIP_DEFLATED)
  with z.open('zip64','w',force_zip64=True) as e: e.write(b'z'*1000)`,
    archive,
  );
  const { tree, bytes } = await work.unpack(archive);
  expect(bytes).toBe(3000);
  expect(readFileSync(join(tree, 'zip64'), 'utf8')).toBe('z'.repeat(1000));
});

it('a zip of more than 65,535 entries unpacks', async () => {
  const archive = work.path('many.zip');
  python(
    `import zipfile,sys
with zipfile.ZipFile(sys.argv[1],'w') as z:
  for i in range(66000): z.writestr('d%d/'%(i%5) if i<65999 else 'last','')`,
    archive,
  );
  expect((await work.unpack(archive)).files).toBe(1);
});

it('an empty zip is an empty tree', async () => {
  expect(await work.unpack(zip([]))).toMatchObject({ format: 'zip', files: 0, bytes: 0 });
});

it('names are read as UTF-8, in DOS’s code page, and with DOS’s backslashes', async () => {
  const { tree } = await work.unpack(
    zip([
      { name: Buffer.from('é.txt').toString('latin1'), flags: 0x800 },
      { name: Buffer.from('ü.txt').toString('latin1') },
      { name: '\x81.dos' },
      { name: 'dir\\file', host: 0 },
      { name: 'unix\\name' },
    ]),
  );
  const utf8 = (name: string) => Buffer.from(name).toString('latin1');
  expect(Object.keys(contentsOf(tree)).sort()).toEqual(
    [utf8('é.txt'), utf8('ü.txt'), utf8('ü.dos'), 'dir', 'dir/file', 'unix\\name'].sort(),
  );
});

it.each<[string, ZipEntry[], string, string]>([
  ['an absolute path', [{ name: '/x' }], '/x', 'absolute'],
  ['..', [{ name: 'a/../../x' }], 'a/../../x', '".."'],
  ['.. by backslash', [{ name: '..\\x', host: 0 }], '../x', '".."'],
  ['a NUL', [{ name: 'a\0b' }], 'a\\u{0}b', 'NUL'],
  [
    'a link out',
    [{ name: 'l', mode: 0o120777, content: Buffer.from('/etc/passwd') }],
    'l',
    'leaves the tree',
  ],
  [
    'a file through a link',
    [{ name: 'l', mode: 0o120777, content: Buffer.from('.') }, { name: 'l/x' }],
    'l/x',
    'through a link',
  ],
  [
    'a link with a very long target',
    [{ name: 'l', mode: 0o120777, content: Buffer.alloc(5000, 'a') }],
    'l',
    'target',
  ],
  ['a fifo', [{ name: 'f', mode: 0o010644 }], 'f', 'device'],
  ['a device', [{ name: 'f', mode: 0o020644 }], 'f', 'device'],
  ['a folder with content', [{ name: 'd/' }], 'd/', 'folder with content'],
  ['encryption', [{ name: 'e', flags: 1 }], 'e', 'encrypted'],
  ['an unknown method', [{ name: 'm', method: 99 }], 'm', 'method 99'],
  ['a wrong checksum', [{ name: 'c', crc: 1 }], 'c', 'checksum'],
  ['a size that is too small', [{ name: 's', size: 3 }], 's', 'header'],
  ['a size that is too large', [{ name: 's', size: 300 }], 's', 'header'],
  [
    'a large size that is too small',
    [{ name: 's', content: Buffer.alloc(9_000_000, 'ab'), size: 8_000_000 }],
    's',
    'larger',
  ],
  ['two headers that disagree', [{ name: 'n', localName: 'm' }], 'n', 'two'],
  ['two entries at one position', [{ name: 'a' }, { name: 'a', offset: 0 }], 'a', 'overlaps'],
])('a zip with %s is refused by name', async (_behaviour, entries, entry, reason) => {
  const { message, ...blamed } = await work.refused(zip(entries));
  expect(blamed).toEqual({ entry });
  expect(message).toContain(reason);
});

it('an entry inside another entry’s content is refused as a bomb', async () => {
  const inner = zip([{ name: 'b' }]).subarray(0, 60);
  const outer = zip([
    { name: 'a', content: Buffer.concat([inner, Buffer.from('tail')]) },
    { name: 'b' },
  ]);
  const second = outer.indexOf('PK\x01\x02', outer.indexOf('PK\x01\x02') + 1);
  const nested = Buffer.from(outer);
  nested.writeUInt32LE(1, second + 42);
  expect(await work.refusal(nested)).toMatch(/overlaps|cannot be read/);
});

it('hidden entries and bytes after the end are refused', async () => {
  expect(await work.refusal(zip([{ name: 'a' }, { name: 'b' }], 1))).toContain('entries');
  expect(await work.refusal(Buffer.concat([zip([{ name: 'a' }]), Buffer.from('more')]))).toContain(
    'corrupt',
  );
});

it('an encrypted zip by Info-ZIP is refused', async () => {
  const archive = work.path('e.zip');
  execFileSync('zip', ['-qP', 'secret', archive, 'run.sh'], { cwd: source });
  expect(await work.refusal(archive)).toMatch(/"run\.sh".*encrypted/);
});
