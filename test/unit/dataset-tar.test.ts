import { expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { datasetTar } from '../../src/machines/ssh-hosts/run/job-files.js';

test('a dataset tar without one of its files fails with the reason, however early its output ends', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'jr-tar-'));
  try {
    // Many times, since tar's output and tar itself end in either order.
    for (let i = 0; i < 30; i++)
      await expect(buffer(datasetTar(folder, [Buffer.from('gone')]))).rejects.toThrow(
        /^tar ended with 2: tar: gone: Cannot stat/,
      );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
