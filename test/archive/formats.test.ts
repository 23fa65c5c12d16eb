import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Workspace, contentsOf, file, make, python, tar } from './support.js';

const work = new Workspace();
const source = join(work.dir, 'source');

beforeAll(() => {
  plantTree();
  make('tar', ['-cf', `${work.dir}/s.tar`, '-C', source, '.']);
  for (const [program, args] of [
    ['gzip', ['-k']],
    ['bzip2', ['-k']],
    ['xz', ['-k']],
    ['xz', ['-k', '--format=lzma']],
    ['zstd', ['-kq']],
  ] as const)
    make(program, [...args, 's.tar'], work.dir);
});
afterAll(() => {
  work.remove();
});

/** Random bytes under every kind of name that Linux allows. */
function plantTree(): void {
  mkdirSync(source);
  let seed = 42;
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return seed % below;
  };
  const folders = ['.', 'a', 'a/b', 'a/b/c', 'ünï côdé', 'x'.repeat(200), 'sp ace', 'd'];
  for (const folder of folders) mkdirSync(join(source, folder), { recursive: true });
  const names = ['plain.txt', 'new\nline', 'tab\tand"quote', '日本語.csv', '-rf', 'y'.repeat(255)];
  for (const folder of folders)
    for (const name of names) {
      const content = Buffer.alloc(random(3) === 0 ? 512 * random(4) : random(200_000));
      for (let at = 0; at < content.length; at++) content[at] = random(256);
      writeFileSync(join(source, folder, name), content, { mode: random(2) ? 0o755 : 0o600 });
      utimesSync(join(source, folder, name), 1e9 + random(1e8), 1e9 + random(1e8) + 0.25);
    }
  writeFileSync(Buffer.from(`${source}/latin\xe9`, 'latin1'), 'not UTF-8');
  writeFileSync(Buffer.from(`${source}/latin\xe8`, 'latin1'), 'nor this');
  symlinkSync('plain.txt', join(source, 'a-link'));
  symlinkSync('../../plain.txt', join(source, 'a/b/up-link'));
  symlinkSync('a/b', join(source, 'folder-link'));
  mkdirSync(join(source, 'empty'));
}

it.each([
  ['s.tar', 'tar'],
  ['s.tar.gz', 'tar.gz'],
  ['s.tar.bz2', 'tar.bz2'],
  ['s.tar.xz', 'tar.xz'],
  ['s.tar.lzma', 'tar.lzma'],
  ['s.tar.zst', 'tar.zst'],
])('%s unpacks to the packed files', async (name, format) => {
  const result = await work.unpack(join(work.dir, name));
  expect(result.format).toBe(format);
  expect(contentsOf(result.tree)).toEqual(contentsOf(source));
});

it.each(['v7', 'ustar', 'gnu', 'oldgnu', 'pax'])('GNU tar’s %s format unpacks', async (format) => {
  const small = work.path('small');
  mkdirSync(join(small, 'deep/er'), { recursive: true });
  const names = format === 'v7' ? ['a', 'deep/er/b'] : ['a', `deep/er/${'n'.repeat(90)}`];
  if (format !== 'v7' && format !== 'ustar') names.push(`deep/${'l'.repeat(250)}`);
  for (const name of names) writeFileSync(join(small, name), `content of ${name}`);
  const archive = work.path('t.tar');
  make('tar', ['-cf', archive, `--format=${format}`, '-C', small, '.']);
  const { tree } = await work.unpack(archive);
  expect(contentsOf(tree)).toEqual(contentsOf(small));
});

it('modes are cleaned and times are kept', async () => {
  const { tree } = await work.unpack(join(work.dir, 's.tar.gz'));
  const kept = (name: string) => lstatSync(join(tree, name));
  const was = (name: string) => lstatSync(join(source, name));
  for (const name of ['plain.txt', 'a/日本語.csv', 'd/-rf']) {
    expect(kept(name).mode & 0o7777).toBe((was(name).mode & 0o111) === 0 ? 0o640 : 0o750);
    expect(Math.floor(kept(name).mtimeMs)).toBe(Math.floor(was(name).mtimeMs / 1000) * 1000);
  }
  expect(kept('a/b').mode & 0o7777).toBe(0o750);
  expect(kept('a/b').mtimeMs).toBeCloseTo(Math.floor(was('a/b').mtimeMs / 1000) * 1000, 0);
});

it('gzip of many members, xz of many blocks and streams, and zstd of many frames are read to the end', async () => {
  const whole = readFileSync(join(work.dir, 's.tar'));
  const half = Math.floor(whole.length / 3);
  const [first, second] = [whole.subarray(0, half), whole.subarray(half)];
  const members = Buffer.concat([gzipSync(first), gzipSync(Buffer.alloc(0)), gzipSync(second)]);
  const through = (program: string, args: string[], input: Buffer) =>
    execFileSync(program, args, { input, maxBuffer: 2 ** 30 });
  const archives = [
    members,
    through('xz', ['-c', '--block-size=100000', '-T2'], whole),
    Buffer.concat([through('xz', ['-c'], first), Buffer.alloc(8), through('xz', ['-c'], second)]),
    Buffer.concat([through('zstd', ['-c'], first), through('zstd', ['-c'], second)]),
    Buffer.concat([
      Buffer.from('50' + '2a4d18' + '04000000' + '01020304', 'hex'),
      through('zstd', ['-c'], whole),
    ]),
    Buffer.concat([through('bzip2', ['-c'], first), through('bzip2', ['-c'], second)]),
  ];
  for (const archive of archives)
    expect(contentsOf((await work.unpack(archive)).tree)).toEqual(contentsOf(source));
});

it.each([
  ['gzip', [], 'gz', 'data.csv.gz', 'data.csv'],
  ['bzip2', [], 'bz2', '../../evil/x.bz2', 'x'],
  ['xz', [], 'xz', undefined, 'data'],
  ['xz', ['--format=lzma'], 'lzma', 'a.LZMA', 'a'],
  ['zstd', ['-q'], 'zst', 'ctrl\n\u202e.zst', 'ctrl__'],
] as const)(
  'a %s %j stream that is not a tar is one file',
  async (program, args, format, name, kept) => {
    const archive = work.save(execFileSync(program, [...args, '-c'], { input: 'a,b\n1,2\n' }));
    const result = await work.unpack(archive, name === undefined ? {} : { originalName: name });
    expect(result).toMatchObject({ format, files: 1, bytes: 8 });
    expect(readFileSync(join(result.tree, kept), 'utf8')).toBe('a,b\n1,2\n');
  },
);

it('an unknown format is kept as one file, under a safe name', async () => {
  for (const [content, name, kept] of [
    ['just text\n', 'notes.txt', 'notes.txt'],
    ['BZh is how this text starts', 'C:\\dir\\b', 'b'],
    ['x', '..', 'data'],
    ['x', undefined, 'data'],
    [Buffer.alloc(100_000), 'zeros', 'zeros'],
    ['x', `${'é'.repeat(300)}.csv`, `${'é'.repeat(125)}.csv`],
  ] as const) {
    const archive = work.save(content);
    const result = await work.unpack(archive, name === undefined ? {} : { originalName: name });
    expect(result).toMatchObject({ format: 'file', files: 1, bytes: statSync(archive).size });
    expect(readFileSync(join(result.tree, kept))).toEqual(readFileSync(archive));
    expect(statSync(join(result.tree, kept)).mode & 0o7777).toBe(0o640);
  }
});

it('an empty tar is an empty tree', async () => {
  const gnu = work.path('empty.tar');
  make('tar', ['-cf', gnu, '-T', '/dev/null']);
  for (const archive of [gnu, work.save(tar()), work.save(gzipSync(readFileSync(gnu)))]) {
    const { tree, files } = await work.unpack(archive);
    expect([files, contentsOf(tree)]).toEqual([0, {}]);
  }
});

it('a file that only looks like .lzma is kept as a file', async () => {
  const lookalike = Buffer.alloc(400);
  lookalike.writeInt32LE(1, 0);
  lookalike.writeInt32LE(1, 4);
  expect(lookalike[13]).toBe(0);
  expect((await work.unpack(lookalike)).format).toBe('file');
});

it('archives made by Python’s tarfile and by node-tar unpack', async () => {
  for (const format of ['GNU', 'PAX']) {
    const archive = work.path('python.tar');
    python(
      `import tarfile,sys
with tarfile.open(sys.argv[1],'w',format=tarfile.${format}_FORMAT) as t: t.add(sys.argv[2],arcname='.')`,
      archive,
      source,
    );
    expect(contentsOf((await work.unpack(archive)).tree)).toEqual(contentsOf(source));
  }
  const { create } = await import('tar');
  const archive = work.path('node.tgz');
  await create({ file: archive, cwd: join(source, 'd'), gzip: true }, ['.']);
  expect(contentsOf((await work.unpack(archive)).tree)).toEqual(contentsOf(join(source, 'd')));
});

it('garbage after a compressed stream or a tar is refused', async () => {
  for (const name of ['s.tar.gz', 's.tar.bz2', 's.tar.xz', 's.tar.lzma', 's.tar.zst', 's.tar']) {
    const archive = work.save(readFileSync(join(work.dir, name)));
    appendFileSync(archive, 'garbage '.repeat(100));
    expect(await work.refusal(archive)).toMatch(/stream|end marker/);
  }
  const two = Buffer.concat([tar(file('a')), tar(file('b'))]);
  expect(await work.refusal(two)).toContain('end marker');
  expect(existsSync(source)).toBe(true);
});
