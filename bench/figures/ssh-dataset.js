import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { pipeline } from 'node:stream/promises';
import { interleave } from '../interleave.js';
import { curl } from './curl.js';

const target = 1.2;
const MiB = 2 ** 20;

export const howDataset =
  'Dataset: JobRunner sends a dataset to a new host, as for the first job that needs it. ' +
  'The rival is `scp -r` of the same bytes from the same files to a new folder on the same ' +
  'host. If the dataset is no archive, both send the file. If it is an archive, both send ' +
  'the archive and our tree of it. Our time is by the host’s clock, from the making of the ' +
  'folder until the job’s command runs. It covers the sending, the digest of the data on ' +
  'the host, and the start of the command. scp’s time is the whole command with its ' +
  'connection, with its own cipher (ChaCha20) and with ours (AES-GCM). scp compares ' +
  'nothing. Between runs, the data on the host is removed and dirty pages are written out.';

/**
 * Prints when the dataset's folder was made on the host, and the present time, in seconds since
 * 1970 (stat(1): %W, time of birth).
 */
const tellTimes = 'echo "$(stat -c %.9W "$(dirname "$JR_DATASET_DIR")") $EPOCHREALTIME"';

/**
 * Compares sending a dataset to a fresh host with scp.
 * @param {import('../workspace.js').Workspace} workspace
 * @param {import('../stack.js').Stack} stack
 * @param {import('../ssh-hosts.js').SshHosts} servers
 */
export async function dataset(workspace, stack, servers) {
  const payload = await workspace.payload();
  const archive = await makeArchive(workspace);
  const inArchive = `an archive of ${archive.bytes / MiB} MiB, and the ${archive.files} files in it`;
  return [
    ...(await against(`one file of ${payload.bytes / MiB} MiB`, payload, ['original'], 4)),
    ...(await against(inArchive, archive, ['original', 'tree'], 3)),
  ];

  /**
   * @param {string} what
   * @param {{ path: string, sha256: string }} sent
   * @param {string[]} parts of the stored dataset that arrive there
   * @param {number} runs
   */
  async function against(what, { path, sha256 }, parts, runs) {
    workspace.say(`  dataset: ${what}`);
    const bearer = ['--header', `Authorization: Bearer ${stack.token}`];
    const url = `${stack.url}/datasets/${sha256}`;
    await curl(workspace, [200, 201], [...bearer, '--upload-file', path, url]);
    const stored = join(stack.root, 'datasets', sha256.slice(0, 2), sha256);
    const { ours, theirs, same } = await interleave(workspace, workspace.runs(runs), {
      ours: async () => {
        const id = await stack.runJob(tellTimes, { partition: 'ssh', dataset_sha: sha256 });
        const log = (await stack.client.call('GET', `/jobs/${id}/log`)).text;
        const [, made, begun] = /^(\d+\.\d+) (\d+\.\d+)$/m.exec(log) ?? [];
        if (!(Number(made) > 0)) throw new Error(`job ${id} printed no time of birth: ${log}`);
        await empty();
        return Number(begun) - Number(made);
      },
      theirs: () => byScp(),
      same: () => byScp('-o', 'Ciphers=aes128-gcm@openssh.com'),
    });
    const sent = `dataset sent to a fresh SSH host: ${what}`;
    return [
      {
        ...{ what: sent, unit: 's', ours },
        ...{ rival: { name: '`scp -r`', values: theirs }, target },
      },
      {
        ...{ what: sent, unit: 's', ours },
        rival: { name: '`scp -r` with our cipher', values: same },
      },
    ];

    /** @param {string[]} options */
    async function byScp(...options) {
      const folder = join(servers.workdirOf(0), 'by-scp');
      await workspace.run('install', ['-d', '-o', servers.user, folder]);
      const from = parts.map((part) => join(stored, part));
      const started = performance.now();
      await workspace.run('scp', [
        ...['-r', '-q', '-F', servers.sshConfig, ...options, ...from],
        `${servers.nameOf(0)}:${folder}`,
      ]);
      const seconds = (performance.now() - started) / 1000;
      await rm(folder, { recursive: true });
      await workspace.settle();
      return seconds;
    }
  }

  /** Removes all datasets from the hosts. */
  async function empty() {
    for (const i of servers.ports.keys())
      await rm(join(servers.workdirOf(i), 'datasets'), { recursive: true, force: true });
    await workspace.settle();
  }
}

/** Makes a tar of incompressible files. @param {import('../workspace.js').Workspace} workspace */
async function makeArchive(workspace) {
  const files = workspace.quick ? 500 : 2000;
  const folder = await workspace.folder('ssh-dataset');
  for (let i = 0; i < files; i++) {
    const part = join(folder, `part-${Math.floor(i / 100)}`);
    await mkdir(part, { recursive: true });
    await writeFile(join(part, `${i}.bin`), randomBytes(MiB / 8));
  }
  const path = `${folder}.tar`;
  await workspace.run('tar', ['-cf', path, '-C', folder, '.']);
  await rm(folder, { recursive: true });
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return { path, sha256: hash.digest('hex'), bytes: (files * MiB) / 8, files };
}
