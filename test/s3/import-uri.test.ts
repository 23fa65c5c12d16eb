import { formatLocation, parseImportUri } from '../../src/datasets/import/uri.js';

const defaults = { mount: '/mnt/b2', bucket: 'default-bucket' };
const read = (uri: string) => {
  const location = parseImportUri(uri, defaults);
  return [location.kind, formatLocation(location)];
};

it.each([
  ['s3://models/a/b.tar', 'object', 's3://models/a/b.tar'],
  ['b2://models/a/b.tar', 'object', 's3://models/a/b.tar'],
  ['S3://models/100% + ü?.tar', 'object', 's3://models/100% + ü?.tar'],
  ['s3://models//odd', 'object', 's3://models//odd'],
  ['s3://models/a/', 'tree', 's3://models/a/'],
  ['s3://models/', 'tree', 's3://models/'],
  ['s3://models', 'tree', 's3://models/'],
  ['/mnt/b2/a/b.tar', 'object', 's3://default-bucket/a/b.tar'],
  ['/mnt/b2//a/./b.tar', 'object', 's3://default-bucket/a/b.tar'],
  ['/mnt/b2/a/', 'tree', 's3://default-bucket/a/'],
  ['/mnt/b2', 'tree', 's3://default-bucket/'],
])('%s names the %s %s', (uri, kind, location) => {
  expect(read(uri)).toEqual([kind, location]);
});

it.each([
  ['', /expected s3:\/\/bucket\/key/],
  ['https://example.org/x', /expected s3:\/\/bucket\/key/],
  ['s3:///key', /not a bucket name/],
  ['s3://../key', /not a bucket name/],
  ['s3://models/a\0b', /NUL/],
  ['/etc/passwd', /only paths under \/mnt\/b2/],
  ['/mnt/b2x/file', /only paths under \/mnt\/b2/],
  ['/mnt/b2/../../etc/passwd', /\.\./],
])('%j is refused', (uri, words) => {
  expect(() => read(uri)).toThrow(expect.objectContaining({ code: 'bad_request' }) as Error);
  expect(() => read(uri)).toThrow(words);
});

it('a key that is longer than S3 allows is refused', () => {
  expect(() => read(`s3://models/${'k'.repeat(1025)}`)).toThrow(/1024 bytes/);
});

it('for a path without a default bucket, the error names the missing setting', () => {
  const none = { mount: '/mnt/b2', bucket: undefined };
  expect(() => parseImportUri('/mnt/b2/x', none)).toThrow(/JR_B2_BUCKET/);
});

it('a secret before an @ is not repeated', () => {
  expect(() => read('s3://key:topsecret@models/x')).toThrow(/^(?!.*topsecret)/);
});
