import { expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { datasetTar } from '../../src/machines/ssh-hosts/run/job-files.js';

test('a dataset tar that lacks a file fails with the reason, however early its output ends', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'jr-tar-'));
  try {
    // Many times: the end of the output and the end of tar come in either order.
    for (let i = 0; i < 30; i++)
      await expect(buffer(datasetTar(folder, [Buffer.from('gone')]))).rejects.toThrow(
        /^tar ended with 2: tar: gone: Cannot stat/,
      );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
