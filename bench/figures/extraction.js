import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { extractArchive } from '../../dist/datasets/archive/extract-archive.js';
import { interleave } from '../interleave.js';
import { idsOf } from '../nginx.js';

const files = 10_000;
const filesPerFolder = 100;
const largestFile = 16 * 1024;

/** @type {import('../main.js').Figure} */
export const extraction = {
  name: 'extraction',
  how:
    '**extraction**: `extractArchive` against `tar -xzf` and `tar -xJf` as root, on the same ' +
    `file system. The archive has ${files} files of 0–${largestFile / 1024} KiB in ` +
    `${files / filesPerFolder} folders. Ours runs as in the service: in its own process, with ` +
    'every entry checked and the group set. The time is wall time, with the start of the ' +
    'process. In the rows “on the disk”, ours syncs the file system, and `sync -f` follows ' +
    'tar. Dirty pages are written out between runs. The trees are removed at the very end. ' +
    'Otherwise ext4 without a journal would skip recently freed inodes, and both sides would ' +
    'wait for that.',
  async measure(workspace) {
    const folder = await workspace.folder('extraction');
    const { gid } = await idsOf(workspace, 'runner');
    await makeArchives(workspace, folder);
    let trees = 0;

    /** @param {(tree: string) => Promise<unknown>} extract */
    const timed = async (extract) => {
      trees += 1;
      const tree = join(folder, `tree-${trees}`);
      const started = performance.now();
      await extract(tree);
      const seconds = (performance.now() - started) / 1000;
      await workspace.settle();
      return seconds;
    };
    /**
     * @param {string} archive
     * @param {boolean} durable
     */
    const ours = (archive, durable) =>
      timed(async (tree) => {
        const result = await extractArchive(
          archive,
          tree,
          { maxBytes: 0, maxFiles: 0 },
          { durable, fileGroup: gid, signal: workspace.signal },
        );
        if (result.files !== files) throw new Error(`${archive}: ${result.files} of ${files}`);
      });
    /**
     * @param {string} archive
     * @param {string} flag
     * @param {boolean} durable
     */
    const theirs = (archive, flag, durable) =>
      timed(async (tree) => {
        await mkdir(tree);
        await workspace.run('tar', [flag, archive, '-C', tree]);
        if (durable) await workspace.run('sync', ['-f', tree]);
      });

    /** @type {import('../report.js').Row[]} */
    const rows = [];
    for (const [kind, flag] of /** @type {const} */ ([
      ['gz', '-xzf'],
      ['xz', '-xJf'],
    ])) {
      const archive = join(folder, `files.tar.${kind}`);
      workspace.say(`  tar.${kind}`);
      const measured = await interleave(workspace, workspace.runs(9), {
        ours: () => ours(archive, false),
        tar: () => theirs(archive, flag, false),
      });
      const durable = await interleave(workspace, workspace.runs(3), {
        ours: () => ours(archive, true),
        tar: () => theirs(archive, flag, true),
      });
      const what = `extraction of ${files} files, tar.${kind}`;
      rows.push(
        {
          what,
          unit: 's',
          ours: measured.ours,
          rival: { name: `\`tar ${flag}\``, values: measured.tar },
          target: 1.3,
        },
        {
          what: `${what}, on the disk`,
          unit: 's',
          ours: durable.ours,
          rival: { name: `\`tar ${flag}\` + \`sync -f\``, values: durable.tar },
        },
      );
    }
    return rows;
  },
};

/**
 * Puts `files.tar.gz` and `files.tar.xz` into the folder.
 * @param {import('../workspace.js').Workspace} workspace
 * @param {string} folder
 */
async function makeArchives(workspace, folder) {
  workspace.say(`  making archives of ${files} files`);
  const source = join(folder, 'source');
  for (let i = 0; i < files; i += filesPerFolder) {
    workspace.signal.throwIfAborted();
    const subfolder = join(source, `part-${i / filesPerFolder}`);
    await mkdir(subfolder, { recursive: true });
    for (let j = i; j < i + filesPerFolder; j += 1)
      await writeFile(join(subfolder, `sample-${j}.txt`), compressibleText());
  }
  const create = ['--sort=name', '-C', source, '-cf'];
  await workspace.run('tar', ['-I', 'gzip -6', ...create, join(folder, 'files.tar.gz'), '.']);
  await workspace.run('tar', ['-I', 'xz -1', ...create, join(folder, 'files.tar.xz'), '.']);
}

/**
 * Makes base64 text of a random length. It packs to about three quarters; real data sets of many
 * small files hardly pack better.
 */
function compressibleText() {
  const length = randomBytes(4).readUInt32LE() % (largestFile + 1);
  return Buffer.from(randomBytes(length).toString('base64').slice(0, length));
}
