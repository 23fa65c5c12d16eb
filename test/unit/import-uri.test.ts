import { refusal } from '../refusal.js';
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
  ['', 'uri: expected s3://bucket/key, b2://bucket/key or a path under JR_B2_MOUNT'],
  ['https://example.org/x', 'uri: expected s3://bucket/key'],
  ['s3:///key', 'not a bucket name'],
  ['s3://../key', 'uri: ..: not a bucket name'],
  ['s3://models/a\0b', 'NUL'],
  [
    '/etc/passwd',
    'uri: only paths under /mnt/b2 (JR_B2_MOUNT) can be imported; give s3://bucket/key otherwise',
  ],
  ['/mnt/b2x/file', '/mnt/b2'],
  ['/mnt/b2/../../etc/passwd', 'uri: a path with .. in it; name the file directly'],
])('%j is refused', (uri, sentence) => {
  expect(() => read(uri)).toThrow(refusal('bad_request', 'uri'));
  expect(() => read(uri)).toThrow(sentence);
});

it('a key that is longer than S3 allows is refused', () => {
  expect(() => read(`s3://models/${'k'.repeat(1025)}`)).toThrow(
    'uri: not a key (longer than 1024 bytes, or with a NUL)',
  );
});

it('for a path without a default bucket, the error names the missing setting', () => {
  const none = { mount: '/mnt/b2', bucket: undefined };
  expect(() => parseImportUri('/mnt/b2/x', none)).toThrow(
    'uri: a path names an object of the default bucket: set JR_B2_BUCKET, or give s3://bucket/key',
  );
});

it('a secret before an @ is not repeated', () => {
  expect(() => read('s3://key:topsecret@models/x')).toThrow(/^(?!.*topsecret)/);
});
