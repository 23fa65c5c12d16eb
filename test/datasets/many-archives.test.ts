import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import type { DatasetService } from '../../src/datasets/service.js';
import { openDatabase, type Database } from '../../src/db/database.js';
import { makeTempFolder, removeFolder } from './dataset-client.js';
import { openDatasets } from './open-datasets.js';

let root: string;
let db: Database;
let service: DatasetService;

/** Processes with a channel to this one, as extractors have. */
let extractors = 0;
let mostExtractors = 0;
const count = (message: unknown) => {
  const { process } = message as { process: ChildProcess };
  process.once('spawn', () => {
    if (process.channel === undefined || process.channel === null) return;
    extractors += 1;
    mostExtractors = Math.max(mostExtractors, extractors);
    process.once('exit', () => (extractors -= 1));
  });
};

beforeAll(async () => {
  subscribe('child_process', count);
  root = await makeTempFolder();
  db = openDatabase(join(root, 'db'));
  service = openDatasets(db, join(root, 'datasets'));
  await service.start();
});

afterAll(async () => {
  unsubscribe('child_process', count);
  await service.close();
  db.close();
  await removeFolder(root);
});

const upload = (owner: string, content: string) =>
  service.receive(Readable.from([gzipSync(content)]), { owner, source: 'put' });

test('many archives of one user run few extractors at once, and another user’s is not behind them', async () => {
  const kept: string[] = [];
  const all = ['alice 1', 'alice 2', 'alice 3', 'alice 4', 'alice 5', 'alice 6', 'alice 7']
    .concat(['alice 8', 'alice 9', 'alice 10', 'alice 11', 'alice 12', 'bob 1'])
    .map(async (content) => {
      const { waited } = await upload(content.split(' ')[0] ?? '', content);
      kept.push(content);
      return waited;
    });
  const waits = await Promise.all(all);
  expect(mostExtractors).toBeGreaterThan(0);
  expect(mostExtractors).toBeLessThanOrEqual(Math.max(2, availableParallelism()));
  expect(kept.indexOf('bob 1')).toBeLessThan(kept.length - 1);
  expect(Math.max(...waits)).toBeGreaterThan(0);
});

test('a check of a dataset and an upload of it at the same time wait for each other, not forever', async () => {
  const { dataset } = await upload('alice', 'checked');
  const again = () => upload('bob', 'checked');
  const checks = Array.from({ length: 4 }, () => service.verify(dataset.sha256, 'alice'));
  const [first, ...others] = await Promise.all([again(), ...checks]);
  expect(first.created).toBe(false);
  for (const { problem } of others) expect(problem).toBeUndefined();
});
