import { posix } from 'node:path';
import { AppError } from '../errors.js';
import { openConfinedEntry } from '../storage/confined-fs/confined-files.js';
import { quote, refusalReason } from '../storage/confined-fs/refusals.js';
import { walkConfined } from '../storage/confined-fs/confined-walk.js';
import type { DigestThreads } from './digest-threads.js';
import { modifiedAt } from './file-digest.js';
import { readManifest, type ManifestEntry } from './manifest.js';
import { Measurer } from './measure.js';

/** Types by the file's name, for jobs without a manifest. */
const weightExtensions = new Set(['.pt', '.pth', '.bin', '.ckpt', '.safetensors', '.onnx']);

const maxOutputs = 50_000;
/** Most warnings that are listed, since people read them; of the others only the count is given. */
const maxWarnings = 100;

/** An output of a job, as found in its folder. */
export interface FoundOutput {
  outputId: string;
  /** Relative to the job's folder; `.` means the whole folder. */
  path: string;
  kind: 'file' | 'folder';
  type: string | null;
  /** Bytes; for a folder, the sum of its files. */
  size: number;
  /** Null for a folder, and for a file that cannot be hashed (a warning gives the reason). */
  sha256: string | null;
  metadata: Record<string, unknown>;
  /** Milliseconds since 1970. */
  modifiedAt: number;
  /** See `fingerprintOf`; empty for a folder. */
  fingerprint: string;
}

export interface FolderIndex {
  source: 'manifest' | 'extensions';
  outputs: FoundOutput[];
  warnings: string[];
}

export interface IndexOptions {
  experimentId: string;
  /** Finds the digest that an earlier indexing computed for this fingerprint. */
  known: (fingerprint: string) => string | undefined;
  threads: DigestThreads;
  signal: AbortSignal;
}

/**
 * Finds the outputs of a job. These are the outputs that `manifest.json` lists; without a manifest,
 * the files with an extension of weight files. Without a manifest, the path serves as the id, since
 * it stays the same whatever else the job writes. Mistakes of the job become warnings; errors are
 * internal (I/O, too many open files) or an abort.
 */
export async function indexFolder(folder: string, options: IndexOptions): Promise<FolderIndex> {
  const warnings = new Warnings();
  const warn = (text: string) => warnings.add(text);
  const measurer = new Measurer(folder, options.known, warn, options.threads, options.signal);
  const manifest = await readManifest(folder, options.experimentId);
  manifest?.warnings.forEach(warn);
  const outputs = manifest?.entries
    ? await findListed(folder, manifest.entries, measurer, warn)
    : await findByExtension(folder, measurer, warn);
  const source = manifest?.entries ? 'manifest' : 'extensions';
  return { source, outputs, warnings: warnings.list() };
}

async function findListed(
  folder: string,
  entries: ManifestEntry[],
  measurer: Measurer,
  warn: (text: string) => void,
): Promise<FoundOutput[]> {
  const outputs: FoundOutput[] = [];
  for (const { id, path, type, metadata } of entries.slice(0, maxOutputs)) {
    const common = { outputId: id, path, type: type ?? typeOf(path), metadata };
    try {
      const found = await openConfinedEntry(folder, path);
      try {
        if (found.kind === 'file') {
          outputs.push({ ...common, ...(await measurer.file(found, path)) });
          continue;
        }
        const size = await measurer.folderBytes(path);

        outputs.push({
          ...common,
          kind: 'folder',
          size,
          sha256: null,
          modifiedAt: modifiedAt(found.stats),
          fingerprint: '',
        });
      } finally {
        await found.handle.close();
      }
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      warn(`output ${quote(id)} is omitted: ${error.message}`);
    }
  }
  if (entries.length > maxOutputs)
    warn(`only the first ${maxOutputs} outputs of manifest.json are listed`);
  return outputs;
}

async function findByExtension(
  folder: string,
  measurer: Measurer,
  warn: (text: string) => void,
): Promise<FoundOutput[]> {
  const outputs: FoundOutput[] = [];
  try {
    for await (const entry of walkConfined(folder)) {
      if (entry.kind === 'limit') warn(`files may be missing from this list: ${entry.reason}`);
      if (entry.kind === 'skipped') {
        const hidesFiles = entry.why === 'closed_by_job' || entry.why === 'too_deep';
        if (hidesFiles || typeOf(entry.path) !== null) warn(entry.reason);
      }
      if (entry.kind !== 'file') continue;
      const { path } = entry;
      const type = typeOf(path);
      if (type === null) continue;
      if (outputs.length === maxOutputs) {
        warn(`only the first ${maxOutputs} outputs are listed`);
        break;
      }
      try {
        const file = await entry.open();
        try {
          const facts = await measurer.file(file, path);
          outputs.push({ outputId: path, path, type, metadata: {}, ...facts });
        } finally {
          await file.handle.close();
        }
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        warn(error.message);
      }
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    warn(refusalReason(error) === 'missing' ? 'the job has no folder' : error.message);
  }
  return outputs;
}

function typeOf(path: string): string | null {
  return weightExtensions.has(posix.extname(path).toLowerCase()) ? 'weights' : null;
}

class Warnings {
  readonly #kept: string[] = [];
  #dropped = 0;

  add(text: string): void {
    if (this.#kept.length < maxWarnings) this.#kept.push(text);
    else this.#dropped++;
  }

  list(): string[] {
    return this.#dropped === 0 ? this.#kept : [...this.#kept, `and ${this.#dropped} more warnings`];
  }
}
