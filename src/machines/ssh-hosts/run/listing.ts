import { posix } from 'node:path';
import { entryPath, maxPathBytes } from '../../../datasets/archive/entry-name.js';
import { LinkMap } from '../../../datasets/archive/link-map.js';
import { printable } from '../../../datasets/archive/printable.js';
import { AppError } from '../../../errors.js';

/*
 * A job's outputs as its host lists them. Nothing in the list is trusted unchecked: names are raw
 * (one character for one byte), and each must lead to a path inside the outputs' folder.
 */

export interface HostFile {
  raw: string;
  size: number;
  executable: boolean;
  /** Seconds since 1970. */
  mtime: number;
  sha256: string;
}

export interface Listing {
  folders: string[];
  files: HostFile[];
  links: { raw: string; target: string }[];
  /** Sentences that name the skipped outputs and the reasons. */
  leftOut: string[];
}

/** A breach of the protocol by the host: an invalid list, or a file that differs from the list. */
export class HostProtocolError extends Error {
  override readonly name = 'HostProtocolError';
}

/** A longer list is a mistake, not outputs. */
const maxEntries = 1_000_000;
/** A longer list of skipped outputs is useless. */
const maxWords = 20;

/**
 * Reads and checks the list of outputs.
 * @param printed output of `outputs` of libexec/ssh-host.sh
 * @param hostFolder the outputs' folder there: links into it are kept
 * @param localFolder the folder for the outputs here
 * @throws HostProtocolError
 */
export function readListing(printed: Buffer, hostFolder: string, localFolder: string): Listing {
  const records = printed.toString('latin1').split('\0');
  if (records.length > 3 * maxEntries)
    throw new HostProtocolError(`the job left more than ${maxEntries} outputs`);
  if (records.at(-2) !== 'end' || records.at(-1) !== '')
    throw new HostProtocolError('the list of outputs is not complete');
  const limit = maxPathBytes(localFolder);
  const folders: string[] = [];
  const found = new Map<string, Omit<HostFile, 'sha256'>>();
  const digests = new Map<string, string>();
  const targets = new Map<string, string>();
  const leftOut = new LeftOut();

  for (let i = 0; i < records.length - 2; i++) {
    const [, kind = '', rest = ''] = /^(\w+) ?([^]*)$/.exec(records[i] ?? '') ?? [];
    if (kind === 'folder') folders.push(nameOf(rest, limit));
    else if (kind === 'file') {
      const [, mode, size, mtime, name] =
        /^([0-7]{1,5}) (\d{1,15}) (-?\d{1,15}) ([^]+)$/.exec(rest) ?? [];
      if (name === undefined) throw unreadable(records[i]);
      const raw = nameOf(name, limit);
      const executable = (parseInt(mode ?? '', 8) & 0o111) !== 0;
      found.set(raw, { raw, size: Number(size), mtime: Number(mtime), executable });
    } else if (kind === 'digests') {
      while (records[++i] !== 'files') {
        const [, digest, name] = /^([0-9a-f]{64}) [ *]([^]+)$/.exec(records[i] ?? '') ?? [];
        if (digest === undefined || name === undefined) throw unreadable(records[i]);
        digests.set(nameOf(name, limit), digest);
      }
    } else if (kind === 'link') targets.set(nameOf(rest, limit), records[++i] ?? '');
    else if (kind === 'other') leftOut.add(rest, 'is a fifo, socket or device');
    else throw unreadable(records[i]);
  }

  const files: HostFile[] = [];
  for (const [raw, file] of found) {
    const sha256 = digests.get(raw);
    if (sha256 === undefined) leftOut.add(raw, 'could not be read there');
    else files.push({ ...file, sha256 });
  }
  refuseCollisions(folders, found, targets);
  const links = insideLinks(targets, Buffer.from(hostFolder).toString('latin1'), leftOut);
  return { folders, files, links, leftOut: leftOut.sentences() };
}

/**
 * Checks that no file or link has the name of another entry's folder, in whatever order they come.
 */
function refuseCollisions(
  folders: readonly string[],
  files: ReadonlyMap<string, unknown>,
  links: ReadonlyMap<string, unknown>,
): void {
  const isFolder = new Set(folders);
  for (const raw of [...files.keys(), ...links.keys()]) {
    const parent = raw.includes('/') ? raw.slice(0, raw.lastIndexOf('/')) : undefined;
    const twice = isFolder.has(raw) || (files.has(raw) && links.has(raw));
    if (twice || (parent !== undefined && !isFolder.has(parent)))
      throw new HostProtocolError(`the list of outputs contradicts itself at "${printable(raw)}"`);
  }
  for (const raw of folders)
    if (raw.includes('/') && !isFolder.has(raw.slice(0, raw.lastIndexOf('/'))))
      throw new HostProtocolError(`the list of outputs contradicts itself at "${printable(raw)}"`);
}

/** Returns the links that stay inside; an absolute target becomes a relative one. */
function insideLinks(
  targets: ReadonlyMap<string, string>,
  hostFolder: string,
  leftOut: LeftOut,
): Listing['links'] {
  const map = new LinkMap();
  for (const [raw, text] of targets) {
    const told = text.startsWith('/') ? posix.normalize(text) : text;
    const isAbsolute = told === hostFolder || told.startsWith(`${hostFolder}/`);
    const target = isAbsolute
      ? posix.relative(posix.dirname(`/${raw}`), `/${told.slice(hostFolder.length + 1)}`) || '.'
      : told;
    try {
      map.add(raw, target);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      leftOut.add(raw, `is a link that leaves the outputs (to "${printable(told)}")`);
    }
  }
  try {
    map.check();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    leftOut.add(
      'links',
      `: all are skipped, since one leads out or in a circle (${error.message})`,
    );
    return [];
  }
  return [...map.entries()].map(([raw, target]) => ({ raw, target }));
}

function nameOf(name: string, limit: number): string {
  let raw: string;
  try {
    raw = entryPath(name, limit);
  } catch (error) {
    throw new HostProtocolError(
      `the host lists an output with an impossible name: "${printable(name)}"`,
      {
        cause: error,
      },
    );
  }
  // The folder itself is no output. Our program prints no `a//b` and no `a/./b`, so two names never
  // mean one file.
  if (raw === '' || name !== `./${raw}`)
    throw new HostProtocolError(
      `the host lists an output with an impossible name: "${printable(name)}"`,
    );
  return raw;
}

function unreadable(record: string | undefined): HostProtocolError {
  return new HostProtocolError(
    `the list of outputs has an unreadable record: "${printable(record ?? '')}"`,
  );
}

class LeftOut {
  readonly #said: string[] = [];
  #more = 0;

  add(raw: string, why: string): void {
    if (this.#said.length < maxWords) this.#said.push(`"${printable(raw)}" ${why}`);
    else this.#more++;
  }

  sentences(): string[] {
    return this.#more === 0 ? this.#said : [...this.#said, `and ${this.#more} more`];
  }
}
