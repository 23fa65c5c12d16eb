import { listTree } from '../../src/datasets/import/listing.js';
import type { ObjectStore, StoredObject } from '../../src/storage/object-store/object-store.js';

/** Listings that no real server would return, with only the methods that `listTree` calls. */
async function paths(keys: string[]): Promise<string[]> {
  const store: Pick<ObjectStore, 'list'> = {
    async *list() {
      const facts: Omit<StoredObject, 'key'> = { size: 0, etag: '""', modified: new Date(0) };
      for (const key of keys) yield await Promise.resolve({ key, ...facts });
    },
  };
  const location = { bucket: 'b', key: 'p/', kind: 'tree' } as const;
  const found: string[] = [];
  for await (const { path } of listTree(
    store as ObjectStore,
    location,
    new AbortController().signal,
  ))
    found.push(path);
  return found;
}

it('keys are cut to the part below the prefix, which itself is the root', async () => {
  expect(await paths(['p/', 'p/a', 'p/b/', 'p/b/c'])).toEqual(['a', 'b', 'b/c']);
});

it.each([
  ['a NUL', ['p/a\0b'], /NUL/],
  ['a single dot', ['p/./b'], /\. in it/],
  ['a part that is too long for a file system', [`p/${'x'.repeat(256)}`], /255 bytes/],
  ['a file that is also a folder placeholder', ['p/a', 'p/a/'], /both a file and a folder/],
  [
    'a file that is also a folder of a far later key',
    ['p/a', 'p/a-', 'p/a-/x', 'p/a/b'],
    /both a file/,
  ],
  ['unsorted keys', ['p/b', 'p/a'], /no order/],
  ['the same key twice', ['p/a', 'p/a'], /no order/],
])('%s is refused', async (_name, keys, words) => {
  await expect(paths(keys)).rejects.toMatchObject({
    code: 'unprocessable',
    message: expect.stringMatching(words) as string,
  });
});

it('names with the same beginning do not conflict', async () => {
  const keys = ['p/a', 'p/a-b', 'p/a.c/d', 'p/a0', 'p/ab/c'];
  expect(await paths(keys)).toHaveLength(keys.length);
});
