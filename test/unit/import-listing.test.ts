import { explainFailure, InterruptedImport } from '../../src/datasets/import/record.js';
import { listTree, surveyTree } from '../../src/datasets/import/listing.js';
import { transfer } from '../../src/datasets/import/transfer.js';
import type { ObjectStore, StoredObject } from '../../src/storage/object-store/object-store.js';

/** Listings that no real server would return, with only the methods that `listTree` calls. */
async function paths(keys: string[]): Promise<string[]> {
  const store: Pick<ObjectStore, 'list'> = {
    async *list() {
      const facts: Omit<StoredObject, 'key'> = { size: 0, etag: '""', modified: new Date(0) };
      for (const key of keys) yield await Promise.resolve({ key, ...facts });
    },
  };
  const place = { bucket: 'b', key: 'p/', kind: 'tree' } as const;
  const found: string[] = [];
  for await (const { path } of listTree(store as ObjectStore, place, new AbortController().signal))
    found.push(path);
  return found;
}

it('keys are cut to the part below the prefix, which itself is the root', async () => {
  expect(await paths(['p/', 'p/a', 'p/b/', 'p/b/c'])).toEqual(['a', 'b', 'b/c']);
});

it.each([
  ['a NUL', ['p/a\0b'], 's3://b/p/a\0b: a key with a NUL in it is not a path'],
  ['a single dot', ['p/./b'], 's3://b/p/./b: a key with . in it is not a path'],
  ['two dots', ['p/../b'], 's3://b/p/../b: a key with .. in it is not a path'],
  [
    'an empty part',
    ['p/a//b'],
    's3://b/p/a//b: a key with an empty part (//, or / at the start) is not a path',
  ],
  [
    'a part that is too long for a file system',
    [`p/${'x'.repeat(256)}`],
    `s3://b/p/${'x'.repeat(256)}: a part of the key is longer than 255 bytes`,
  ],
  [
    'a file that is also a folder placeholder',
    ['p/a', 'p/a/'],
    's3://b/p/a: both a file and a folder (p/a/); rename one',
  ],
  [
    'a file that is also a folder of a far later key',
    ['p/a', 'p/a-', 'p/a-/x', 'p/a/b'],
    's3://b/p/a-: both a file and a folder (p/a-/x); rename one',
  ],
  [
    'unsorted keys',
    ['p/b', 'p/a'],
    's3://b/p/: this storage lists its objects in no order; import an archive instead',
  ],
  ['the same key twice', ['p/a', 'p/a'], expect.stringContaining('no order') as string],
])('%s is refused', async (_name, keys, message) => {
  await expect(paths(keys)).rejects.toMatchObject({ code: 'unprocessable', message });
});

it('names with the same beginning do not conflict', async () => {
  const keys = ['p/a', 'p/a-b', 'p/a.c/d', 'p/a0', 'p/ab/c'];
  expect(await paths(keys)).toHaveLength(keys.length);
});

const signal = new AbortController().signal;
const store = {
  stat: () => Promise.resolve({ key: 'k', size: 1001, etag: '""', modified: new Date(0) }),
  async *list(_bucket: string, prefix: string) {
    const keys = prefix === 'p/' ? ['p/a', 'p/b', 'p/c'] : [];
    for (const key of keys)
      yield await Promise.resolve({ key, size: 1, etag: '""', modified: new Date(0) });
  },
} as unknown as ObjectStore;

it.each([
  ['object', 'k', 'too_large', 's3://b/k: 1001 bytes, more than the 2 allowed (JR_MAX_UPLOAD_GB)'],
  ['tree', 'p/', 'too_large', 's3://b/p/: 3 bytes, more than the 2 allowed (JR_MAX_UPLOAD_GB)'],
  ['tree', 'none/', 'storage_not_found', 's3://b/none/: no objects under this prefix'],
] as const)('an import of the %s %s is refused', async (kind, key, code, message) => {
  const datasets = {
    exists: () => false,
    receive: () => Promise.reject(new Error('nothing may be received')),
  };
  const what = {
    ...{ owner: 'admin', location: { bucket: 'b', key, kind }, expectedSha: undefined },
    ...{ name: undefined, limits: { uploadBytes: 2, extractFiles: 0 } },
  };
  await expect(
    transfer(store, datasets, what, { done: 0, total: null }, signal),
  ).rejects.toMatchObject({ code, message });
});

it('a tree of too many objects is refused', async () => {
  const listed = listTree(store, { bucket: 'b', key: 'p/', kind: 'tree' }, signal);
  await expect(surveyTree(listed, { uploadBytes: 0, extractFiles: 2 })).rejects.toMatchObject({
    code: 'too_large',
    message: 'more than 2 objects (JR_MAX_EXTRACT_FILES); import an archive or a part',
  });
});

it('an interrupted import names the remedy', () => {
  expect(explainFailure(new InterruptedImport())).toEqual({
    code: 'interrupted',
    message: 'interrupted: the service stopped during this import; start it again',
  });
});
