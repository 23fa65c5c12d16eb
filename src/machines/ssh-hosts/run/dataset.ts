import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { SshJobSpec } from '../../../jobs/ssh-job-spec.js';
import { SshError } from '../ssh/errors.js';
import type { Link } from '../ssh/link.js';
import type { HostSession } from '../ssh/session.js';
import { hostLock } from './host-lock.js';
import { datasetTar, type HostPaths } from './job-files.js';
import type { JobLog } from './log.js';
import { openUntrusted } from './untrusted-files.js';
import { soleName, treeParts, type TreePart } from './tree-parts.js';

type Dataset = NonNullable<SshJobSpec['dataset']>;

export interface SendParts {
  session: HostSession;
  log: JobLog;
  /** A folder of ours for locks. */
  state: string;
  installation: string;
  paths: HostPaths;
  signal: AbortSignal;
}

/** Attempts to send a file that arrives with another digest. */
const maxTries = 3;

/** The progress of sending: bytes of the original, parts of the tree. */
interface Progress {
  bytes: number;
  parts: number;
}

/**
 * Sends a dataset to the host unless it is there: the original, whose digest the host computes, and
 * our tree of it. The host unpacks no archive of an untrusted user. Others who need the same
 * dataset there wait. After a break it resumes where it stopped: in the original and in large
 * files, at that byte.
 * @throws SshError
 */
export async function sendDataset(dataset: Dataset, parts: SendParts): Promise<void> {
  const { session, log, state, signal } = parts;
  if ((await progress(dataset, parts)) === 'ready') return;
  const name = `${session.host.name}-${dataset.sha256}.lock`;
  const release = await hostLock(join(state, name), signal);
  try {
    if ((await progress(dataset, parts)) === 'ready') return;
    const { size } = await stat(dataset.original);
    log.say(`sends dataset ${dataset.sha256.slice(0, 12)} (${size} bytes) to ${session.host.name}`);
    await sendOriginal(dataset, size, parts);
    const sole = await soleName(dataset);
    if (sole === undefined) await sendTree(dataset, parts);
    const { paths, installation } = parts;
    const publish = ['publish', paths.datasets, dataset.sha256, installation, sole ?? ''];
    await session.use((link) => link.call(publish, { signal }), signal);
  } catch (error) {
    // The partial copy must not be the reason for the full disk.
    if (error instanceof SshError && error.fault === 'no_room') await forget(dataset, parts);
    throw error;
  } finally {
    release();
  }
}

async function forget({ sha256 }: Dataset, parts: SendParts): Promise<void> {
  const { session, paths, installation, signal } = parts;
  const coming = `${paths.datasets}/${sha256}.${installation}`;
  await session.use((link) => link.call(['take_away', coming], { signal }), signal);
}

async function progress(dataset: Dataset, parts: SendParts): Promise<Progress | 'ready'> {
  const { session, signal } = parts;
  return session.use((link) => progressOver(link, dataset, parts), signal);
}

async function progressOver(
  link: Link,
  { sha256 }: Dataset,
  { paths, installation, signal }: SendParts,
): Promise<Progress | 'ready'> {
  const said = await link.call(['dataset_state', paths.datasets, sha256, installation], {
    signal,
  });
  const text = said.toString().trim();
  const [, bytes, count] = /^coming (\d{1,15}) (\d{1,9})$/.exec(text) ?? [];
  if (text === 'ready') return text;
  if (bytes === undefined)
    throw new SshError(
      'other',
      `SSH host ${link.host.name}: cannot read its answer about a dataset`,
    );
  return { bytes: Number(bytes), parts: Number(count) };
}

async function sendOriginal(dataset: Dataset, size: number, parts: SendParts): Promise<void> {
  const { session, log, signal } = parts;
  for (let tries = 1; ; tries++) {
    const digest = await session.use(async (link) => {
      const there = await progressOver(link, dataset, parts);
      if (there === 'ready') return dataset.sha256;
      // A longer file came from another source; a damaged one is sent anew.
      const offset = tries > 1 || there.bytes > size ? 0 : there.bytes;
      return sendFile(link, dataset.original, 'original', offset, dataset, parts);
    }, signal);
    if (digest === dataset.sha256) return;
    const what = `dataset ${dataset.sha256.slice(0, 12)}: the copy on ${session.host.name} has another digest`;
    if (tries === maxTries)
      throw new SshError('other', `${what}, ${maxTries} times; check its disk and memory`);
    log.say(`${what}; sending it again`);
  }
}

async function sendTree(dataset: Dataset, parts: SendParts): Promise<void> {
  const { session, installation, paths, signal } = parts;
  const coming = `${paths.datasets}/${dataset.sha256}.${installation}`;
  const there = await progress(dataset, parts);
  if (there === 'ready') return;
  let number = 0;
  for await (const part of treeParts(dataset.tree)) {
    number++;
    if (number <= there.parts) continue;
    if (part.kind === 'file') await sendLarge(dataset, part, parts);
    const names = part.kind === 'names' ? part.names : [];
    await session.use(
      (link) =>
        link.call(['receive_part', coming, String(number)], {
          input: datasetTar(dataset.tree, names),
          signal,
        }),
      signal,
    );
  }
}

async function sendLarge(
  dataset: Dataset,
  part: Extract<TreePart, { kind: 'file' }>,
  parts: SendParts,
): Promise<void> {
  const { session, installation, paths, signal } = parts;
  const path = Buffer.concat([Buffer.from(`${dataset.tree}/`), part.name]);
  const hash = createHash('sha256');
  await pipeline((await openUntrusted(path)).createReadStream(), hash, { signal });
  const expected = hash.digest('hex');
  const coming = `${paths.datasets}/${dataset.sha256}.${installation}`;
  // A name need not be UTF-8, but an argument must be: the file has a plain name until it is whole.
  for (let tries = 1; ; tries++) {
    const digest = await session.use(async (link) => {
      const size =
        tries > 1 ? 0 : Number(await link.call(['size_of', `${coming}/large`], { signal }));
      return sendFile(link, path, 'large', size, dataset, parts);
    }, signal);
    if (digest === expected) break;
    if (tries === maxTries)
      throw new SshError(
        'other',
        `SSH host ${session.host.name}: a file of the dataset arrives with another digest; check its disk and memory`,
      );
  }
  await session.use(
    (link) =>
      link.call(['place_large', coming, part.executable ? '700' : '600'], {
        input: part.name,
        signal,
      }),
    signal,
  );
}

/** Sends a file. @returns the digest of the whole file on the host */
async function sendFile(
  link: Link,
  path: string | Buffer,
  name: string,
  offset: number,
  { sha256 }: Dataset,
  { paths, installation, signal }: SendParts,
): Promise<string> {
  const coming = `${paths.datasets}/${sha256}.${installation}`;
  const file = await openUntrusted(path);
  const input = file.createReadStream({ start: offset, highWaterMark: 2 ** 20 });
  try {
    const said = await link.call(['receive_file', coming, name, String(offset)], { input, signal });
    return said.toString().slice(0, 64);
  } finally {
    input.destroy();
  }
}
