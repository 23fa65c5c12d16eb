import { parseManifest, readManifest } from '../../src/outputs/manifest.js';
import { JobFolder } from './hostile-folder.js';

const parse = (value: unknown) =>
  parseManifest(typeof value === 'string' ? value : JSON.stringify(value), 'exp');

test('a manifest’s entries are read with type and metadata, unknown keys ignored', () => {
  const manifest = parse({
    experiment_id: 'exp',
    framework: 'torch',
    outputs: [
      { id: 'weights', path: './weights//model.pth', type: 'checkpoint', metadata: { loss: 0.1 } },
      { id: 'all', path: '.', note: 'x' },
    ],
  });
  expect(manifest).toEqual({
    entries: [
      { id: 'weights', path: 'weights/model.pth', type: 'checkpoint', metadata: { loss: 0.1 } },
      { id: 'all', path: '.', type: undefined, metadata: {} },
    ],
    warnings: [],
  });
});

test.each([
  ['an absolute path', { id: 'x', path: '/etc/passwd' }, 'is absolute'],
  ['a path that leads out', { id: 'x', path: 'a/../../b' }, 'holds “..”'],
  ['an empty path', { id: 'x', path: '' }, 'is empty'],
  ['NUL in a path', { id: 'x', path: 'a\0' }, 'NUL'],
  ['no path', { id: 'x' }, 'path'],
  ['an id with a line break', { id: 'x\r\nSet-Cookie: a', path: 'a' }, 'id: expected'],
  ['an empty id', { id: '', path: 'a' }, 'id: expected'],
  ['an id that is a number', { id: 7, path: 'a' }, 'id'],
  ['metadata that is a list', { id: 'x', path: 'a', metadata: [] }, 'metadata'],
  [
    'metadata that is huge',
    { id: 'x', path: 'a', metadata: { a: 'x'.repeat(70_000) } },
    'metadata',
  ],
  ['an entry that is not an object', 'weights.pth', 'outputs[1]'],
])('%s drops that entry with a warning and keeps the others', (_name, entry, warning) => {
  const manifest = parse({ outputs: [{ id: 'good', path: 'good' }, entry] });
  expect(manifest.entries?.map((e) => e.id)).toEqual(['good']);
  expect(manifest.warnings).toHaveLength(1);
  expect(manifest.warnings[0]).toContain(warning);
});

test('the first of two entries with one id wins', () => {
  const { entries, warnings } = parse({
    outputs: [
      { id: 'a', path: '1' },
      { id: 'a', path: '2' },
    ],
  });
  expect(entries?.map((e) => e.path)).toEqual(['1']);
  expect(warnings[0]).toContain('an earlier entry has the id "a"');
});

test('a job cannot put its outputs into another experiment', () => {
  const { warnings } = parse({ experiment_id: 'somebody-elses', outputs: [] });
  expect(warnings[0]).toContain('"somebody-elses"');
});

test.each(['', '{', '[]', 'null', '{"outputs": {}}', '{}', '{"outputs": [], "experiment_id": 3}'])(
  'the manifest %j is not used at all',
  (text) => {
    const { entries, warnings } = parse(text);
    expect(entries).toBeUndefined();
    expect(warnings[0]).toContain('manifest.json is not used');
  },
);

test('metadata of a hundred thousand nested levels does not crash the service', () => {
  const deep = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
  const { entries } = parse(`{"outputs": [{"id": "x", "path": "x", "metadata": ${deep}}]}`);
  expect(entries).toEqual([]);
});

describe('on disk', () => {
  let folder: JobFolder;
  beforeEach(() => {
    folder = new JobFolder();
  });
  afterEach(() => folder.remove());

  test('a missing manifest causes no warning', async () => {
    expect(await readManifest(folder.root, 'exp')).toBeUndefined();
  });

  test('a byte order mark causes no warning', async () => {
    folder.manifest('\ufeff{"outputs": []}');
    expect(await readManifest(folder.root, 'exp')).toEqual({ entries: [], warnings: [] });
  });

  test('a manifest that is too large, not text, a folder, a fifo or a link out is ignored', async () => {
    const warning = async () => {
      const manifest = await readManifest(folder.root, 'exp');
      expect(manifest?.entries).toBeUndefined();
      folder.clear('manifest.json');
      return manifest?.warnings[0];
    };
    folder.manifest(' '.repeat(4 * 1024 * 1024 + 1));
    expect(await warning()).toContain('larger than');
    folder.file('manifest.json', Buffer.from([0x7b, 0xff, 0x7d]));
    expect(await warning()).toContain('not UTF-8');
    folder.file('manifest.json/x');
    expect(await warning()).toContain('is a folder');
    folder.fifo('manifest.json');
    expect(await warning()).toContain('fifo');
    folder.link('manifest.json', '../../outside/secret.pth');
    expect(await warning()).toContain('leaves the job’s folder');
  });
});
