import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import { JobFolders } from '../../src/jobs/job-folders.js';
import type { JobId } from '../../src/jobs/job.js';
import { removeConfined } from '../../src/storage/confined-fs/confined-remove.js';
import { JobFolder } from './hostile-folder.js';

let folder: JobFolder;

beforeEach(() => {
  folder = new JobFolder();
});

afterEach(() => {
  folder.remove();
  expect(folder.openDescriptors).toBe(0);
});

test('removes links, fifos, hard links and names that are not UTF-8, but not the targets of links', async () => {
  folder.file('a/b/c.pth');
  folder.file('.hidden');
  folder.link('out', join(folder.base, 'outside'));
  folder.link('a/out.pth', folder.outside);
  folder.fifo('fifo');
  folder.bytesNamed(Buffer.from([0x66, 0xff, 0xfe]));
  execFileSync('ln', [folder.outside, join(folder.root, 'hard')]);
  await removeConfined(folder.root);
  expect(existsSync(folder.root)).toBe(false);
  expect(existsSync(folder.outside)).toBe(true);
});

test('a missing folder counts as removed', async () => {
  await removeConfined(join(folder.results, '7'));
  expect(existsSync(folder.root)).toBe(true);
});

test('two removals at once both succeed', async () => {
  for (let i = 0; i < 200; i++) folder.file(`${i % 7}/${i}.pth`);
  await Promise.all([removeConfined(folder.root), removeConfined(folder.root)]);
  expect(existsSync(folder.root)).toBe(false);
});

test('a tree that is deeper than the longest path is removed whole', async () => {
  const deep = 'd'.repeat(200);
  for (let level = 0; level < 60; level++) {
    const next = join(folder.results, `wrapped-${level}`);
    mkdirSync(next);
    renameSync(folder.root, join(next, deep));
    renameSync(next, folder.root);
  }
  await removeConfined(folder.root);
  expect(readdirSync(folder.results)).toEqual([]);
});

test('removes nothing outside while a job swaps a folder for a link to one with the same names', async () => {
  const outside = join(folder.base, 'outside');
  const names = Array.from({ length: 300 }, (_, i) => `${i}.pth`);
  for (const name of names) writeFileSync(join(outside, name), 'theirs');
  const swapper = new Worker(
    `const { parentPort, workerData: { root, outside } } = require('node:worker_threads');
     const fs = require('node:fs');
     let stop = false;
     parentPort.on('message', () => { stop = true; });
     const done = (act) => { try { act(); return true; } catch (error) { if (!error.code) throw error; return false; } };
     function turn() {
       for (let i = 0; i < 50; i++) {
         if (!done(() => fs.renameSync(root + '/real', root + '/kept'))) continue;
         done(() => fs.symlinkSync(outside, root + '/real'));
         done(() => fs.unlinkSync(root + '/real'));
         done(() => fs.renameSync(root + '/kept', root + '/real'));
       }
       if (stop) parentPort.close(); else setImmediate(turn);
     }
     turn();
     parentPort.postMessage('swapping');`,
    { eval: true, workerData: { root: folder.root, outside } },
  );
  try {
    await once(swapper, 'message');
    for (let round = 0; round < 10; round++) {
      // Made under another name, since the swapper already works below the final one.
      const fresh = join(folder.results, 'fresh');
      mkdirSync(join(fresh, 'real'), { recursive: true });
      for (const name of names) writeFileSync(join(fresh, 'real', name), 'mine');
      await removeConfined(folder.root);
      renameSync(fresh, folder.root);
      await removeConfined(folder.root);
    }
  } finally {
    swapper.postMessage('stop');
    await once(swapper, 'exit');
  }
  expect(readdirSync(outside)).toHaveLength(names.length + 1);
});

test('leftovers under the number of a job that was never recorded are set aside, and removed at the next start', async () => {
  const [jobLogs = '', jobScripts = ''] = ['logs', 'scripts'].map((name) =>
    join(folder.base, name),
  );
  const sshJobs = join(folder.base, 'remote');
  mkdirSync(jobLogs);
  mkdirSync(jobScripts);
  folder.file('stale/model.pth');
  const folders = new JobFolders({ results: folder.results, jobLogs, jobScripts, sshJobs });
  folders.make(1 as JobId, undefined, 'job-user', undefined);
  expect(readdirSync(folder.root)).toEqual([]);
  expect(readdirSync(folder.results)).toHaveLength(2);
  await folders.sweep(pino({ enabled: false }));
  expect(readdirSync(folder.results)).toEqual(['1']);
});
