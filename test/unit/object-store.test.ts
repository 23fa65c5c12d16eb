import { storageError } from '../../src/storage/object-store/errors.js';
import { ObjectStore } from '../../src/storage/object-store/object-store.js';
import { s3Error, startFakeS3, type Answer, type FakeS3 } from '../fake-s3.js';

const patience = {
  attempts: 3,
  firstDelayMs: 1,
  longestDelayMs: 5,
  connectMs: 1000,
  stallMs: 10_000,
};
const signal = new AbortController().signal;
const region = 'us-east-1';
const keys = { keyId: 'KEYIDKEYID', appKey: 'topsecrettopsecret' };

let fake: FakeS3 | undefined;
let store: ObjectStore | undefined;

afterEach(async () => {
  store?.close();
  await fake?.close();
  fake = undefined;
});

async function storeThatGets(answer: Answer): Promise<ObjectStore> {
  fake = await startFakeS3(answer);
  store = new ObjectStore({ endpoint: fake.endpoint, region, ...keys }, patience);
  return store;
}

function host(): string {
  return new URL(fake?.endpoint ?? '').host;
}

async function all(chunks: AsyncIterable<Buffer>): Promise<string> {
  const read: Buffer[] = [];
  for await (const chunk of chunks) read.push(chunk);
  return Buffer.concat(read).toString();
}

// Ceph accepts any region. These replies are in AWS's documentation, or come from MinIO and B2.
it.each([
  [
    'AuthorizationHeaderMalformed',
    s3Error(400, 'AuthorizationHeaderMalformed', { fields: { Region: 'eu-central-003' } }),
    "bucket: not in region us-east-1: set JR_B2_REGION=eu-central-003 (and JR_B2_ENDPOINT to that region's)",
  ],
  [
    'PermanentRedirect',
    s3Error(301, 'PermanentRedirect', { headers: { 'x-amz-bucket-region': 'eu-west-1' } }),
    "bucket: not in region us-east-1: set JR_B2_REGION=eu-west-1 (and JR_B2_ENDPOINT to that region's)",
  ],
  [
    'PermanentRedirect without a region',
    s3Error(301, 'PermanentRedirect'),
    "bucket: not in region us-east-1: set JR_B2_REGION and JR_B2_ENDPOINT to the bucket's own",
  ],
])('for a wrong region, the error names the right one: %s', async (_name, answer, message) => {
  const wrong = await storeThatGets(answer);
  const denied = { code: 'storage_denied', message };
  await expect(wrong.stat('bucket', 'key', signal)).rejects.toMatchObject(denied);
  await expect(wrong.list('bucket', '', signal).next()).rejects.toMatchObject(denied);
});

it('for a reply that is not S3, the error points to the endpoint', async () => {
  const page = await storeThatGets((_req, res) => res.end('<html><body>Welcome</body>'));
  await expect(page.list('bucket', '', signal).next()).rejects.toMatchObject({
    code: 'storage_unavailable',
    message: `${host()} does not answer like an S3 service: check JR_B2_ENDPOINT`,
  });
});

it('a name that does not resolve is reported', async () => {
  store = new ObjectStore({ endpoint: 'http://s3.nowhere.invalid', region, ...keys }, patience);
  await expect(store.stat('bucket', 'key', signal)).rejects.toMatchObject({
    code: 'storage_unavailable',
    message: 's3.nowhere.invalid: the name does not resolve; check JR_B2_ENDPOINT and the DNS',
  });
});

it('an overloaded storage is asked again, a limited number of times', async () => {
  const busy = await storeThatGets(s3Error(503, 'SlowDown'));
  await expect(busy.list('bucket', '', signal).next()).rejects.toMatchObject({
    code: 'storage_unavailable',
    message: `${host()} is overloaded or failing (HTTP 503); try later`,
  });
  expect(fake?.requests).toHaveLength(patience.attempts);
});

it('a refused request is not repeated', async () => {
  const closed = await storeThatGets(s3Error(403, 'AccessDenied'));
  await expect(closed.list('bucket', '', signal).next()).rejects.toMatchObject({
    code: 'storage_denied',
  });
  expect(fake?.requests).toHaveLength(1);
});

it.each([
  ['NoSuchBucket', 404, 'storage_not_found', 'bucket: no such bucket at s3.example'],
  ['NoSuchKey', 404, 'storage_not_found', 's3://bucket/key: no such object in the bucket'],
  [
    'InvalidAccessKeyId',
    403,
    'storage_denied',
    's3.example does not know the key ID: check JR_B2_KEY_ID',
  ],
  [
    'SignatureDoesNotMatch',
    403,
    'storage_denied',
    's3.example rejects the signature: check JR_B2_APP_KEY (requests are signed for region us-east-1)',
  ],
  [
    'AccessDenied',
    403,
    'storage_denied',
    's3://bucket/key: access denied; the key in JR_B2_KEY_ID must be allowed to read and list this bucket',
  ],
  [
    'PreconditionFailed',
    412,
    'conflict',
    's3://bucket/key: changed while it was being imported; start the import again',
  ],
])('what the storage calls %s (HTTP %d) is told in our words', (name, status, code, message) => {
  const error = { name, message: 'words', $metadata: { httpStatusCode: status } };
  const asked = { bucket: 'bucket', key: 'key', endpoint: 'https://s3.example', region };
  expect(storageError(error, asked)).toMatchObject({ code, message });
});

it('an endpoint where nothing listens is told in our words', () => {
  const error = { name: 'Error', message: 'words', code: 'ECONNREFUSED' };
  const asked = { bucket: 'bucket', endpoint: 'http://127.0.0.1:1', region };
  expect(storageError(error, asked)).toMatchObject({
    code: 'storage_unavailable',
    message: '127.0.0.1:1: nothing listens there; check JR_B2_ENDPOINT',
  });
});

const object = { key: 'key', size: 10, etag: '"one"', modified: new Date(0) };

it('attempts are counted from the last byte that arrived, and no byte arrives twice', async () => {
  const drip = await storeThatGets((req, res) => {
    const from = Number(/bytes=(\d+)-/.exec(req.headers.range ?? '')?.[1]);
    res.writeHead(206, {
      'content-length': 10 - from,
      'content-range': `bytes ${from}-9/10`,
      etag: '"one"',
    });
    res.write('0123456789'.slice(from, from + 1), () => res.destroy());
  });
  expect(await all(drip.read('bucket', object, signal))).toBe('0123456789');
  expect(fake?.requests.at(-1)).toMatch(/bytes=9-$/);
});

it.each([
  ['another ETag', { etag: '"two"', 'content-length': 10 }],
  ['another length', { etag: '"one"', 'content-length': 9 }],
  ['another part', { etag: '"one"', 'content-length': 10, 'content-range': 'bytes 5-14/15' }],
])('a storage that ignores If-Match or Range and sends %s is noticed', async (_name, headers) => {
  const careless = await storeThatGets((_req, res) => {
    res.writeHead(200, headers);
    res.end('x'.repeat(headers['content-length']));
  });
  await expect(all(careless.read('bucket', object, signal))).rejects.toMatchObject({
    code: 'conflict',
  });
});

it('a read that waits for a silent storage ends when it is aborted', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  const silent = await storeThatGets(() => controller.abort(reason));
  await expect(all(silent.read('bucket', object, controller.signal))).rejects.toBe(reason);
});

it('keys with any characters are listed unchanged, with ETags that If-Match accepts', async () => {
  const listed = ['a%20b', '%2B%25', '%0A', '%C3%BC+x'];
  const odd = await storeThatGets((_req, res) => {
    const contents = listed.map(
      (key) => `<Contents><Key>${key}</Key><Size>1</Size><ETag>e</ETag></Contents>`,
    );
    res.setHeader('content-type', 'application/xml');
    res.end(
      `<ListBucketResult><EncodingType>url</EncodingType>${contents.join('')}</ListBucketResult>`,
    );
  });
  const keysListed: string[] = [];
  for await (const { key, etag } of odd.list('bucket', '', signal)) {
    keysListed.push(key);
    expect(etag).toBe('"e"');
  }
  expect(keysListed).toEqual(['a b', '+%', '\n', 'ü x']);
});
