import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { AddressInfo } from 'node:net';
import { PutObjectCommand, CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import express from 'express';
import { pino, type Logger } from 'pino';
import { pinoHttp } from 'pino-http';
import type { Sha256 } from '../../src/datasets/digest.js';
import type { ImportView } from '../../src/datasets/import/replies.js';
import { importRoutes } from '../../src/datasets/import/routes.js';
import { ImportService, type ImportRequest } from '../../src/datasets/import/service.js';
import { tarEnd, tarHeader, tarPadding } from '../../src/datasets/import/tar.js';
import { openDatabase, type Database } from '../../src/db/database.js';
import { errorReply } from '../../src/http/error-reply.js';
import { closeServer, listen } from '../../src/http/server.js';
import { Waits } from '../../src/http/waits.js';
import { ObjectStore } from '../../src/storage/object-store/object-store.js';
import { HeldDatasets } from './held-datasets.js';
import { startRelay, type Relay } from './relay.js';
import { ownerApi } from '../owner-api.js';
import { refusal } from '../refusal.js';
import { startRgw, type Keys, type RgwServer } from './rgw-server.js';

const MB = 1024 * 1024;
const bucket = 'models';
const patience = { attempts: 12, firstDelayMs: 50, longestDelayMs: 500, connectMs: 2000 };

let rgw: RgwServer;
let relay: Relay;
let seed: S3Client;
let db: Database;
let datasets: HeldDatasets;
let logged: string[];
let log: Logger;
const closers: (() => Promise<void> | void)[] = [];

beforeAll(async () => {
  rgw = await startRgw();
  relay = await startRelay(rgw.port);
  seed = new S3Client({
    endpoint: `http://127.0.0.1:${rgw.port}`,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: rgw.owner.keyId, secretAccessKey: rgw.owner.appKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  for (const Bucket of [bucket, 'other-bucket'])
    await seed.send(new CreateBucketCommand({ Bucket }));
});

afterAll(async () => {
  seed?.destroy();
  await relay?.close();
  await rgw?.stop();
});

beforeEach(async () => {
  db = openDatabase(':memory:');
  logged = [];
  log = pino({ level: 'debug' }, { write: (line: string) => logged.push(line) });
  datasets = await HeldDatasets.open(db, log);
  relay.rangeStarts.length = 0;
});

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  await datasets.close();
  db.close();
});

interface Differently {
  keys?: Keys;
  endpoint?: string;
  limits?: { uploadBytes: number; extractFiles: number };
  concurrency?: number;
  stallMs?: number;
  attempts?: number;
}

function importsWith(given: Differently = {}): ImportService {
  const store = new ObjectStore(
    {
      endpoint: given.endpoint ?? relay.endpoint,
      region: 'us-east-1',
      ...(given.keys ?? rgw.owner),
    },
    { ...patience, stallMs: given.stallMs ?? 20_000, attempts: given.attempts ?? 12 },
  );
  const service = new ImportService({
    db,
    datasets,
    storage: { store, bucket, mount: '/mnt/b2' },
    limits: given.limits ?? { uploadBytes: 0, extractFiles: 0 },
    now: Date.now,
    log,
    ...(given.concurrency !== undefined && { concurrency: given.concurrency }),
  });
  closers.push(
    () => service.close(),
    () => store.close(),
  );
  return service;
}

const never = new AbortController().signal;

async function finish(
  service: ImportService,
  request: Omit<ImportRequest, 'user'>,
): Promise<ImportView> {
  return service.wait(service.create({ user: 'admin', ...request }).id, never);
}

async function put(key: string, body: Buffer | string): Promise<string> {
  await seed.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: Buffer.from(body) }));
  return sha(body);
}

function sha(body: Buffer | string): string {
  return createHash('sha256').update(body).digest('hex');
}

describe('an object', () => {
  it('becomes a dataset with its own digest, name and source, unpacked', async () => {
    const file = randomBytes(3 * MB);
    const header = tarHeader('deep/in/file.bin', 'file', file.length, new Date(0));
    const archive = gzipSync(Buffer.concat([header, file, tarPadding(file.length), tarEnd]));
    const digest = await put('sets/archive one+ü.tar.gz', archive);
    const uri = `s3://${bucket}/sets/archive one+ü.tar.gz`;
    const record = await finish(importsWith(), { uri, sha256: digest as Sha256 });
    const bytes = { bytes_done: archive.length, bytes_total: archive.length };
    expect(record).toMatchObject({
      uri,
      state: 'COMPLETED',
      ...bytes,
      sha256: digest,
      error: null,
    });
    expect(datasets.service.list()).toMatchObject([
      { sha256: digest, name: 'archive one+ü.tar.gz', source: uri, files: 1 },
    ]);
    const unpacked = await readFile(join(datasets.treeOf(digest), 'deep/in/file.bin'));
    expect(unpacked.equals(file)).toBe(true);
  });

  it('is found by b2:// and by the path of the bucket’s former mount', async () => {
    const digest = await put('old/callers.bin', 'still work');
    const imports = importsWith();
    for (const uri of [`b2://${bucket}/old/callers.bin`, '/mnt/b2/old/callers.bin'])
      expect(await finish(imports, { uri })).toMatchObject({ state: 'COMPLETED', sha256: digest });
  });

  it('that was uploaded in parts has the digest of the whole', async () => {
    const body = randomBytes(20 * MB);
    await new Upload({
      client: seed,
      params: { Bucket: bucket, Key: 'parts', Body: body },
      partSize: 8 * MB,
    }).done();
    const record = await finish(importsWith(), { uri: `s3://${bucket}/parts` });
    expect(record).toMatchObject({ state: 'COMPLETED', sha256: sha(body) });
  });

  it('is read no faster than it is stored, so that it never lies in memory whole', async () => {
    await put('held', randomBytes(48 * MB));
    const digest = await put('other', randomBytes(48 * MB));
    const imports = importsWith();
    const held = datasets.holdAt(8 * MB);
    const { id } = imports.create({ user: 'admin', uri: `s3://${bucket}/held` });
    await held.reached;
    // As much is read for another import meanwhile as is left of this one.
    const other = await finish(imports, { uri: `s3://${bucket}/other` });
    expect(other).toMatchObject({ state: 'COMPLETED', sha256: digest });
    // Only the buffers between the connection and the store, some chunks of 64 KiB, are ahead.
    expect(imports.get(id).bytes_done).toBeLessThan(12 * MB);
    held.go();
    expect(await imports.wait(id, never)).toMatchObject({ state: 'COMPLETED' });
  });

  it('with an unexpected digest is not kept', async () => {
    await put('small', 'abc');
    const record = await finish(importsWith(), {
      uri: `s3://${bucket}/small`,
      sha256: sha('other') as Sha256,
    });
    expect(record).toMatchObject({ state: 'FAILED', error: { code: 'sha256_mismatch' } });
    expect(await datasets.leftOnDisk()).toEqual([]);
  });

  it('that is already stored is not fetched again when its digest is given', async () => {
    const digest = await put('once', 'only once');
    const imports = importsWith();
    const request = { uri: `s3://${bucket}/once`, sha256: digest as Sha256 };
    await finish(imports, request);
    expect(await finish(imports, request)).toMatchObject({ state: 'COMPLETED', sha256: digest });
    expect(datasets.received).toHaveLength(1);
  });

  it('that is larger than allowed is refused before a byte is read', async () => {
    await put('big', Buffer.alloc(1001));
    const imports = importsWith({ limits: { uploadBytes: 1000, extractFiles: 0 } });
    const record = await finish(imports, { uri: `s3://${bucket}/big` });
    expect(record.error).toMatchObject({
      code: 'too_large',
      message: expect.stringMatching(/1001.*1000/) as string,
    });
    expect(datasets.received).toEqual([]);
  });
});

describe('a disturbed transfer', () => {
  let body: Buffer;
  let digest: string;
  beforeEach(async () => {
    body = randomBytes(48 * MB);
    digest = await put('long', body);
  });

  it('continues from the byte where it stopped after the server was killed and restarted', async () => {
    const imports = importsWith();
    const held = datasets.holdAt(8 * MB);
    const { id } = imports.create({ user: 'admin', uri: `s3://${bucket}/long` });
    await held.reached;
    await rgw.run('kill-rgw');
    held.go();
    await rgw.run('start-rgw');
    expect(await imports.wait(id, never)).toMatchObject({
      state: 'COMPLETED',
      sha256: digest,
      bytes_done: body.length,
    });
    expect(relay.rangeStarts[0]).toBe(0);
    expect(relay.rangeStarts.at(-1)).toBeGreaterThanOrEqual(8 * MB);
  });

  it('continues when the server stops answering, without waiting for it', async () => {
    const imports = importsWith({ stallMs: 1000 });
    const held = datasets.holdAt(8 * MB);
    const { id } = imports.create({ user: 'admin', uri: `s3://${bucket}/long` });
    await held.reached;
    await rgw.run('pause-rgw');
    const givenUp = relay.clientCloses();
    held.go();
    await givenUp;
    await rgw.run('resume-rgw');
    expect(await imports.wait(id, never)).toMatchObject({
      state: 'COMPLETED',
      sha256: digest,
      bytes_done: body.length,
    });
    expect(relay.rangeStarts.at(-1)).toBeGreaterThanOrEqual(8 * MB);
  });

  it('fails when the object has changed, and keeps no mixture', async () => {
    const imports = importsWith();
    const held = datasets.holdAt(8 * MB);
    const { id } = imports.create({ user: 'admin', uri: `s3://${bucket}/long` });
    await held.reached;
    await put('long', randomBytes(body.length));
    relay.cut();
    held.go();
    const record = await imports.wait(id, never);
    expect(record.error).toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(`s3://${bucket}/long`) as string,
    });
    expect(await datasets.leftOnDisk()).toEqual([]);
  });

  it('ends at once when it is cancelled, and keeps no file and no connection', async () => {
    const imports = importsWith();
    const held = datasets.holdAt(8 * MB);
    const { id } = imports.create({ user: 'admin', uri: `s3://${bucket}/long` });
    await held.reached;
    expect(imports.get(id)).toMatchObject({ state: 'RUNNING', bytes_total: body.length });
    const closed = relay.clientCloses();
    const record = await imports.cancel(id);
    expect(record).toMatchObject({ state: 'FAILED', error: { code: 'cancelled' } });
    await closed;
    expect(await datasets.leftOnDisk()).toEqual([]);
    await expect(imports.cancel(id)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('waits its turn behind other transfers, and can be cancelled meanwhile', async () => {
    const imports = importsWith({ concurrency: 1 });
    const held = datasets.holdAt(8 * MB);
    const first = imports.create({ user: 'admin', uri: `s3://${bucket}/long` });
    const second = imports.create({ user: 'admin', uri: `s3://${bucket}/long` });
    const third = imports.create({ user: 'admin', uri: `s3://${bucket}/long` });
    await held.reached;
    expect(imports.list('admin').map(({ state }) => state)).toEqual([
      'QUEUED',
      'QUEUED',
      'RUNNING',
    ]);
    expect(await imports.cancel(second.id)).toMatchObject({ error: { code: 'cancelled' } });
    held.go();
    expect(await imports.wait(third.id, never)).toMatchObject({ state: 'COMPLETED' });
    expect(imports.get(first.id)).toMatchObject({ state: 'COMPLETED', sha256: digest });
    expect(datasets.received).toHaveLength(2);
  });

  it('is recorded as interrupted when the service stops, or when it starts after a crash', async () => {
    const imports = importsWith();
    const held = datasets.holdAt(8 * MB);
    const { id } = imports.create({ user: 'admin', uri: `s3://${bucket}/long` });
    await held.reached;
    await imports.close();
    const interrupted = { state: 'FAILED', error: { code: 'interrupted' } };
    expect(imports.get(id)).toMatchObject(interrupted);

    db.exec(`UPDATE dataset_imports SET state = 'RUNNING', error = NULL, ended_at = NULL`);
    const next = importsWith();
    next.start();
    expect(next.get(id)).toMatchObject(interrupted);
  });
});

describe('a prefix', () => {
  it('with more keys than one listing holds becomes one tree', async () => {
    const names = Array.from({ length: 1100 }, (_, i) => `part-${i % 7}/file ${i}.txt`);
    const todo = names.values();
    const worker = async () => {
      for (const name of todo) await put(`tree/${name}`, `content of ${name}`);
    };
    await Promise.all(Array.from({ length: 16 }, worker));
    const long = `${'d'.repeat(120)}/ü ${'f'.repeat(150)} %41+&.bin`;
    await put(`tree/${long}`, randomBytes(MB));
    await put('tree/', '');
    await put('tree/empty folder/', '');
    await put('tree/empty file', '');
    await put('treeish', 'a neighbour');

    const imports = importsWith();
    const record = await finish(imports, { uri: `s3://${bucket}/tree/` });
    expect(record).toMatchObject({ state: 'COMPLETED', error: null });
    expect(record.bytes_done).toBe(record.bytes_total);
    const tree = datasets.treeOf(record.sha256 ?? '');
    const paths = await readdir(tree, { recursive: true, withFileTypes: true });
    const files = paths.filter((entry) => entry.isFile());
    expect(files.map((entry) => relative(tree, join(entry.parentPath, entry.name))).sort()).toEqual(
      [...names, long, 'empty file'].sort(),
    );
    expect(await readFile(join(tree, names[500] ?? ''), 'utf8')).toBe(`content of ${names[500]}`);
    expect(await readdir(join(tree, 'empty folder'))).toEqual([]);
  });

  it('has the same digest at each import; it may be the whole bucket, but not empty or above the limits', async () => {
    const at = { Bucket: 'other-bucket', Body: 'x' };
    for (const Key of ['a', 'b/c', 'b/d']) await seed.send(new PutObjectCommand({ ...at, Key }));
    const imports = importsWith();
    const whole = await finish(imports, { uri: 's3://other-bucket' });
    expect(whole).toMatchObject({ state: 'COMPLETED', bytes_total: 3 });
    const again = await finish(imports, { uri: 'b2://other-bucket/' });
    expect(again.sha256).toBe(whole.sha256);
    expect((await finish(imports, { uri: 's3://other-bucket/none/' })).error).toMatchObject({
      code: 'storage_not_found',
      message: expect.stringContaining('s3://other-bucket/none/') as string,
    });
    for (const limits of [
      { uploadBytes: 2, extractFiles: 0 },
      { uploadBytes: 0, extractFiles: 2 },
    ]) {
      const record = await finish(importsWith({ limits }), { uri: 's3://other-bucket/' });
      expect(record.error?.code).toBe('too_large');
    }
  });

  it.each([
    ['dots', ['a/../b'], 'a/../b'],
    ['slashes', ['a//b'], 'a//b'],
    ['absolute', ['/etc/passwd'], '/etc/passwd'],
    ['both', ['x', 'x-y', 'x.z/1', 'x/y'], 'x'],
    ['bytes-in-folder', ['f/'], 'f/'],
  ])('with a key that cannot be a path is refused, naming it: %s', async (folder, keys, bad) => {
    for (const key of keys) await put(`unsafe/${folder}/${key}`, 'content');
    const record = await finish(importsWith(), { uri: `s3://${bucket}/unsafe/${folder}/` });
    expect(record.error?.code).toBe('unprocessable');
    expect(record.error?.message).toContain(`s3://${bucket}/unsafe/${folder}/${bad}: `);
    expect(datasets.received).toEqual([]);
  });

  it('that gets another object during the import is an error, not a mixture', async () => {
    await put('moving/a', randomBytes(4 * MB));
    await put('moving/b', randomBytes(4 * MB));
    const imports = importsWith();
    const held = datasets.holdAt(MB);
    const { id } = imports.create({ user: 'admin', uri: `s3://${bucket}/moving/` });
    await held.reached;
    await put('moving/b', randomBytes(4 * MB));
    held.go();
    expect(await imports.wait(id, never)).toMatchObject({ error: { code: 'conflict' } });
    expect(await datasets.leftOnDisk()).toEqual([]);
  });
});

describe('a refusal', () => {
  it('distinguishes a missing bucket from a missing key', async () => {
    const imports = importsWith();
    // The bucket alone is blamed, or the object.
    for (const [uri, blamed] of [
      ['s3://nowhere/key', /^nowhere: /],
      ['s3://nowhere/key/', /^nowhere: /],
      [`s3://${bucket}/no/key`, /^s3:\/\/models\/no\/key: /],
    ] as const)
      expect((await finish(imports, { uri })).error).toMatchObject({
        code: 'storage_not_found',
        message: expect.stringMatching(blamed) as string,
      });
  });

  it('distinguishes an unknown key ID, a wrong secret and a user without rights, and leaks none of them', async () => {
    await put('private', 'x');
    const cases: [Keys, RegExp][] = [
      [{ keyId: 'UNKNOWNKEYID', appKey: 'wrongsecretwrong' }, /^127\S+ .*JR_B2_KEY_ID/],
      [{ keyId: rgw.owner.keyId, appKey: 'wrongsecretwrong' }, /^127\S+ .*JR_B2_APP_KEY/],
      [rgw.other, /^s3:\/\/models\/.*JR_B2_KEY_ID/],
    ];
    for (const [keys, words] of cases) {
      const imports = importsWith({ keys });
      for (const uri of [`s3://${bucket}/private`, `s3://${bucket}/`]) {
        const { error } = await finish(imports, { uri });
        expect(error?.code).toBe('storage_denied');
        expect(error?.message).toMatch(words);
      }
      const told = logged.join('') + JSON.stringify(imports.list('admin'));
      expect(told).toContain('HTTP 403');
      for (const secret of [keys.keyId, keys.appKey, 'Signature='])
        expect(told).not.toContain(secret);
    }
  });

  it('says so when nothing listens at the endpoint', async () => {
    const imports = importsWith({ endpoint: 'http://127.0.0.1:1', attempts: 2 });
    const { error } = await finish(imports, { uri: `s3://${bucket}/x` });
    expect(error).toMatchObject({
      code: 'storage_unavailable',
      message: expect.stringMatching(/127\.0\.0\.1:1.*JR_B2_ENDPOINT/) as string,
    });
  });
});

describe('over HTTP', () => {
  async function serve(service: ImportService): Promise<string> {
    const app = express();
    app.set('query parser', 'simple');
    app.use(pinoHttp({ logger: log }));
    const api = ownerApi();
    importRoutes(api, service, new Waits(new AbortController().signal, 50));
    app.use(api.router);
    app.use(errorReply());
    const server = await listen(app, { host: '127.0.0.1', port: 0 });
    closers.unshift(() => closeServer(server, 0));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/datasets`;
  }
  const read = async (reply: Response) => ({
    status: reply.status,
    body: (await reply.json()) as ImportView & { error: { code: string; message: string } },
  });

  it('an import starts by JSON or form, is answered at once, and can be waited for', async () => {
    const digest = await put('by-http', 'over HTTP');
    const url = await serve(importsWith());
    const uri = `s3://${bucket}/by-http`;
    const form = new FormData();
    form.set('uri', uri);
    form.set('name', 'mine');
    const bodies: RequestInit[] = [
      { body: JSON.stringify({ uri }), headers: { 'content-type': 'application/json' } },
      { body: form },
      { body: new URLSearchParams({ uri, sha256: digest }) },
    ];
    for (const body of bodies) {
      const posted = await fetch(`${url}/import`, { method: 'POST', ...body });
      const text = await posted.clone().text();
      const started = await read(posted);
      expect(text).toContain('"state": "');
      expect(started).toMatchObject({ status: 202, body: { uri, sha256: null } });
      expect(posted.headers.get('location')).toBe(`/datasets/imports/${started.body.id}`);
      const ended = await read(await fetch(`${url}/imports/${started.body.id}?wait=60`));
      expect(ended).toMatchObject({ status: 200, body: { state: 'COMPLETED', sha256: digest } });
    }
    const list = (await (await fetch(`${url}/imports`)).json()) as { imports: ImportView[] };
    expect(list.imports.map(({ id }) => id)).toEqual([3, 2, 1]);
    expect(datasets.received[0]?.name).toBe('by-http');
  });

  it('an impossible request is refused with the name of the field', async () => {
    const url = await serve(importsWith());
    const post = async (body: unknown) =>
      read(
        await fetch(`${url}/import`, {
          method: 'POST',
          body: JSON.stringify(body),
          headers: { 'content-type': 'application/json' },
        }),
      );
    const uri = `s3://${bucket}/x`;
    for (const [body, field] of [
      [{}, 'uri'],
      [{ uri: 5 }, 'uri'],
      [{ uri: 'ftp://x/y' }, 'uri'],
      [{ uri, sha256: 'ABC' }, 'sha256'],
      [{ uri, name: 'a\nb' }, 'name'],
      [{ uri, colour: 'red' }, 'colour'],
    ] as const) {
      const { status, body: reply } = await post(body);
      expect([status, reply.error]).toEqual([400, refusal('bad_request', field)]);
    }
    for (const [path, status] of [
      ['/imports/99', 404],
      ['/imports/x', 400],
      ['/imports/1?wait=301', 400],
    ] as const)
      expect((await fetch(url + path)).status).toBe(status);
    expect((await fetch(`${url}/imports/99`, { method: 'DELETE' })).status).toBe(404);
  });

  it('when imports are off, the error names the setting that turns them on', async () => {
    const limits = { uploadBytes: 0, extractFiles: 0 };
    const off = new ImportService({ db, datasets, storage: undefined, limits, now: Date.now, log });
    const url = await serve(off);
    const body = new URLSearchParams({ uri: `s3://${bucket}/x` });
    const reply = await read(await fetch(`${url}/import`, { method: 'POST', body }));
    expect(reply.status).toBe(409);
    expect(reply.body.error).toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('JR_B2_ENABLE') as string,
    });
  });
});
