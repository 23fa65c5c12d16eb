import { posix } from 'node:path';
import { fieldError } from '../../errors.js';

/** A source: one object, or every object whose key starts with `key` (`''` is the whole bucket). */
export interface ImportLocation {
  bucket: string;
  key: string;
  kind: 'object' | 'tree';
}

/**
 * Reads `s3://bucket/key`, `b2://bucket/key`, or an absolute path under the mount point of the
 * default bucket. Keys are not decoded. An empty key, or one that ends in `/`, means a tree.
 * @throws AppError bad_request
 */
export function parseImportUri(
  uri: string,
  { mount, bucket }: { mount: string; bucket: string | undefined },
): ImportLocation {
  const location = uri.startsWith('/') ? fromPath(uri, mount, bucket) : fromUri(uri);
  if (location.key.includes('\0') || Buffer.byteLength(location.key) > 1024)
    throw fieldError('bad_request', 'uri', 'not a key (longer than 1024 bytes, or with a NUL)');
  return location;
}

/** Formats a location as `s3://bucket/key`. */
export function formatLocation({ bucket, key }: ImportLocation): string {
  return `s3://${bucket}/${key}`;
}

function fromUri(uri: string): ImportLocation {
  const match = /^(?:s3|b2):\/\/([^/]*)(?:\/(.*))?$/is.exec(uri);
  const [, bucket = '', key = ''] = match ?? [];
  // The part before an @ may be a secret, so the reply does not repeat it.
  if (!match || bucket.includes('@'))
    throw fieldError(
      'bad_request',
      'uri',
      'expected s3://bucket/key, b2://bucket/key or a path under JR_B2_MOUNT',
    );
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,62}$/.test(bucket))
    throw fieldError('bad_request', 'uri', `${bucket.slice(0, 64)}: not a bucket name`);
  return location(bucket, key);
}

function fromPath(path: string, mount: string, bucket: string | undefined): ImportLocation {
  if (path.split('/').includes('..'))
    throw fieldError('bad_request', 'uri', 'a path with .. in it; name the file directly');
  const tidy = posix.normalize(path);
  if (tidy !== mount && !tidy.startsWith(`${mount}/`))
    throw fieldError(
      'bad_request',
      'uri',
      `only paths under ${mount} (JR_B2_MOUNT) can be imported; give s3://bucket/key otherwise`,
    );
  if (bucket === undefined)
    throw fieldError(
      'bad_request',
      'uri',
      'a path names an object of the default bucket: set JR_B2_BUCKET, or give s3://bucket/key',
    );
  return location(bucket, tidy.slice(mount.length + 1));
}

function location(bucket: string, key: string): ImportLocation {
  return { bucket, key, kind: key === '' || key.endsWith('/') ? 'tree' : 'object' };
}
