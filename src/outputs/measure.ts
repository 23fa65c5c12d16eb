import type { ConfinedFile } from '../storage/confined-fs/confined-handles.js';
import { quote } from '../storage/confined-fs/refusals.js';
import { walkConfined } from '../storage/confined-fs/confined-walk.js';
import type { DigestThreads } from './digest-threads.js';
import { digestFile, fingerprintOf, isMostlyHoles, modifiedAt } from './file-digest.js';

/** Most files and folders that one indexing visits to sum up folders. */
const maxWalked = 1_000_000;
/** Most bytes of holes that one indexing hashes: a job can claim exabytes with one ftruncate(2). */
const maxHoleBytes = 64 * 2 ** 30;

export interface FileFacts {
  kind: 'file';
  /** Bytes. */
  size: number;
  /** Null when it is unknown; a warning gives the reason. */
  sha256: string | null;
  /** Milliseconds since 1970. */
  modifiedAt: number;
  fingerprint: string;
}

/**
 * Measures the size and digest of a job's outputs. It hashes each inode and walks each folder once,
 * however many outputs name it. So a hostile manifest costs no more than the job's own bytes.
 */
export class Measurer {
  readonly #folder: string;
  readonly #known: (fingerprint: string) => string | undefined;
  readonly #warn: (text: string) => void;
  readonly #threads: DigestThreads;
  readonly #signal: AbortSignal;

  readonly #digests = new Map<string, string | null>();
  readonly #folders = new Map<string, number>();
  #walked = 0;
  #holeBytes = 0;

  constructor(
    folder: string,
    known: (fingerprint: string) => string | undefined,
    warn: (text: string) => void,
    threads: DigestThreads,
    signal: AbortSignal,
  ) {
    this.#folder = folder;
    this.#known = known;
    this.#warn = warn;
    this.#threads = threads;
    this.#signal = signal;
  }

  async file(file: ConfinedFile, path: string): Promise<FileFacts> {
    const fingerprint = fingerprintOf(file.stats);
    let sha256: string | null | undefined = this.#digests.get(fingerprint);
    if (sha256 === undefined) {
      sha256 = this.#known(fingerprint) ?? (await this.#digest(file, path));
      this.#digests.set(fingerprint, sha256);
    }
    return {
      kind: 'file',
      size: Number(file.stats.size),
      sha256,
      modifiedAt: modifiedAt(file.stats),
      fingerprint,
    };
  }

  /** Sums the bytes of all files below `path`, without files that the walk omits. */
  async folderBytes(path: string): Promise<number> {
    const counted = this.#folders.get(path);
    if (counted !== undefined) return counted;
    let size = 0;
    const left = maxWalked - this.#walked;
    for await (const entry of walkConfined(this.#folder, { under: path, maxEntries: left })) {
      this.#signal.throwIfAborted();
      this.#walked++;
      if (entry.kind === 'file') size += entry.size;
      if (entry.kind === 'skipped') this.#warn(`folder ${quote(path)}: ${entry.reason}`);
      if (entry.kind === 'limit')
        this.#warn(`folder ${quote(path)} is larger than the size shown: ${entry.reason}`);
    }
    // Sparse files can add up to more than the database can count.
    size = Math.min(size, Number.MAX_SAFE_INTEGER);
    this.#folders.set(path, size);
    return size;
  }

  async #digest(file: ConfinedFile, path: string): Promise<string | null> {
    if (isMostlyHoles(file.stats)) {
      this.#holeBytes += Number(file.stats.size);
      if (this.#holeBytes > maxHoleBytes) {
        this.#warn(`${quote(path)} has no SHA-256: it is huge and consists mostly of holes`);
        return null;
      }
    }
    const sha256 = await digestFile(file, this.#threads, this.#signal);
    if (sha256 === undefined)
      this.#warn(`${quote(path)} has no SHA-256 yet: it changed while it was read`);
    return sha256 ?? null;
  }
}
