import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { Limits } from '../../src/auth/user-limits.js';
import type { DatasetService } from '../../src/datasets/service.js';
import { openDatabase, type Database } from '../../src/db/database.js';
import { file, tar } from '../archive/support.js';
import { makeTempFolder, removeFolder } from './dataset-client.js';
import { openDatasets } from './open-datasets.js';

const everybody = { max_jobs: 0, max_running: 0, max_gpus: 0, max_stored_bytes: 100_000 };
const upload = { owner: 'alice', source: 'put' };

let root: string;
let db: Database;
let limits: Limits;
let service: DatasetService;

beforeAll(async () => {
  root = await makeTempFolder();
  db = openDatabase(join(root, 'db'));
  limits = new Limits({ db, everybody, canLimitRunning: false, unixUserOf: () => null });
  service = openDatasets(db, join(root, 'datasets'), { room: limits });
  await service.start();
});

afterAll(async () => {
  await service.close();
  db.close();
  await removeFolder(root);
});

/** Makes an archive of 17,920 bytes that unpacks to 16,000. */
const archive = () => tar(file('a', randomBytes(8000).toString('hex')));

test('of simultaneous uploads, as many are kept as fit the quota, both packed and unpacked', async () => {
  // All may arrive, and any two may stay.
  const bodies = Array.from({ length: 5 }, () => Readable.from([archive()]));
  const staged = await Promise.all(bodies.map((body) => service.stage(body, upload)));
  const kept = await Promise.allSettled(staged.map((one) => service.keep(one, upload)));
  const refused = kept.filter(({ status }) => status === 'rejected');
  expect(refused).toHaveLength(3);
  for (const one of refused) expect(one).toMatchObject({ reason: { code: 'quota_exceeded' } });
  expect(limits.view('alice').stored_bytes).toBe(67_840);

  // A refused upload takes no room, and a plain file counts once.
  await service.receive(Readable.from([randomBytes(32_160)]), upload);
  expect(limits.view('alice').stored_bytes).toBe(100_000);
});

test('an archive that unpacks to more than its user may store is refused with the figures', async () => {
  const packed = gzipSync(tar(file('zeros', '0'.repeat(2 ** 20))));
  const options = { owner: 'bob', source: 'put' };
  await expect(service.receive(Readable.from([packed]), options)).rejects.toMatchObject({
    code: 'quota_exceeded',
    details: { max: 100_000, used: 0, datasets_bytes: 0, largest: [] },
  });
  expect(limits.view('bob').stored_bytes).toBe(0);
});
