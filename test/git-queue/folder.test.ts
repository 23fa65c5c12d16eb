import { afterEach, expect, test } from '@jest/globals';
import { chownSync } from 'node:fs';
import { QueueRepo, queueText } from './queue-repo.js';

let repo: QueueRepo;
afterEach(() => repo.remove());

test('a folder that is no clone is refused with the reason', async () => {
  repo = new QueueRepo({ 'queue.csv': queueText(['a']) });
  const { stderr: none } = await repo.queue(['list'], {}, repo.folder);
  expect(none).toMatch(/^jobrunner: .*folder .*--repo\n$/);
  const { stderr: bare } = await repo.queue(['list'], {}, repo.bare);
  expect(bare).toBe(none);
  chownSync(repo.clone, 65534, 65534);
  const { stderr: foreign } = await repo.queue(['list']);
  expect(foreign).toMatch(/^jobrunner: .*dubious ownership in .*\n$/);
});
