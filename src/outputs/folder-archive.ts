import { Header, Pax } from 'tar';
import { AppError } from '../errors.js';
import { walkConfined } from '../storage/confined-fs/confined-walk.js';
import type { ConfinedFile } from '../storage/confined-fs/confined-handles.js';

const blockBytes = 512;
const chunkBytes = 512 * 1024;
const maxEntries = 10_000_000;

/**
 * Packs a folder of a job as a tar archive, with all entries below `top`. Omits entries that are
 * not served (links out of the folder, fifos, names that are not UTF-8) and lists them in a last
 * entry, `top/SKIPPED-BY-JOBRUNNER.txt`. It reads nothing ahead; ending the generator early closes
 * every open file.
 * @throws Error when a file shrinks or the folder outgrows a bound meanwhile: the archive would be
 *   wrong
 */
export async function* tarFolder(
  root: string,
  path: string,
  top: string,
): AsyncGenerator<Buffer, void, undefined> {
  const skipped: string[] = [];
  yield header({ path: `${top}/`, type: 'Directory', mode: 0o755, size: 0, mtimeMs: 0 });
  for await (const entry of walkConfined(root, { under: path, maxEntries })) {
    switch (entry.kind) {
      case 'limit':
        throw new Error(`a folder cannot be archived whole: ${entry.reason}`);
      case 'skipped':
        if (skipped.length < 10_000) skipped.push(entry.reason);
        break;
      case 'folder':
        yield header({
          path: `${top}/${entry.path}/`,
          type: 'Directory',
          mode: 0o755,
          size: 0,
          mtimeMs: entry.mtimeMs,
        });
        break;
      case 'file': {
        let file: ConfinedFile;
        try {
          file = await entry.open();
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          skipped.push(error.message);
          break;
        }
        try {
          yield* tarFile(file, `${top}/${entry.path}`);
        } finally {
          await file.handle.close();
        }
        break;
      }
    }
  }
  if (skipped.length > 0) {
    const note = Buffer.from(`${skipped.join('\n')}\n`);
    const path = `${top}/SKIPPED-BY-JOBRUNNER.txt`;
    yield header({ path, type: 'File', mode: 0o644, size: note.length, mtimeMs: 0 });
    yield note;
    yield* padding(note.length);
  }
  yield Buffer.alloc(2 * blockBytes);
}

async function* tarFile(file: ConfinedFile, path: string): AsyncGenerator<Buffer, void, undefined> {
  const size = Number(file.stats.size);
  const mode = (file.stats.mode & 0o100n) === 0n ? 0o644 : 0o755;
  yield header({ path, type: 'File', mode, size, mtimeMs: Number(file.stats.mtimeMs) });
  for (let position = 0; position < size;) {
    // Use a fresh buffer each time: gzip works on it in another thread.
    const buffer = Buffer.allocUnsafeSlow(Math.min(chunkBytes, size - position));
    const { bytesRead } = await file.handle.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) throw new Error('a file shrank while it was archived');
    yield buffer.subarray(0, bytesRead);
    position += bytesRead;
  }
  yield* padding(size);
}

interface EntryFacts {
  path: string;
  type: 'File' | 'Directory';
  mode: number;
  size: number;
  mtimeMs: number;
}

/** Makes an entry's header, after a PAX header if the plain form cannot hold the name or size. */
function header({ path, type, mode, size, mtimeMs }: EntryFacts): Buffer {
  // A job can set any time; ustar's 11 octal digits hold these seconds (pax(1), "ustar Interchange
  // Format").
  const mtime = new Date(Math.max(0, Math.min(Math.floor(mtimeMs / 1000), 0o77777777777)) * 1000);
  const facts = { path, type, mode, size, mtime, uid: 0, gid: 0 };
  const block = Buffer.alloc(blockBytes);
  const plain = new Header(facts);
  if (!plain.encode(block)) return block;
  return Buffer.concat([new Pax({ path, size, mtime }).encode(), block]);
}

/** Fills up a file's last block; empty when the block is full. */
function padding(size: number): Buffer[] {
  const rest = size % blockBytes;
  return rest === 0 ? [] : [Buffer.alloc(blockBytes - rest)];
}
