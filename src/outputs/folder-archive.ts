import { Header, Pax } from 'tar';
import { AppError } from '../errors.js';
import { walkConfined } from '../storage/confined-fs/confined-walk.js';
import type { ConfinedFile } from '../storage/confined-fs/confined-files.js';

const blockBytes = 512;
const chunkBytes = 512 * 1024;
const maxEntries = 10_000_000;

/**
 * A folder in a job's folder as the bytes of a tar archive, everything below `top`. What is not served (links that
 * leave, fifos, names that are not UTF-8) is left out and listed in a last entry, `top/SKIPPED-BY-JOBRUNNER.txt`.
 * Nothing is read ahead; leaving the generator closes all it opened.
 * @throws Error when a file shrinks or the folder outgrows every bound while it is read: the archive would lie.
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
    // A fresh buffer each time: the gzip that takes it works in another thread.
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

/** One entry's header, led by a PAX one where the plain form cannot hold its name or size. */
function header({ path, type, mode, size, mtimeMs }: EntryFacts): Buffer {
  // A job can claim any time; the 11 octal digits of ustar hold these seconds (pax(1), "ustar Interchange Format").
  const mtime = new Date(Math.max(0, Math.min(Math.floor(mtimeMs / 1000), 0o77777777777)) * 1000);
  const facts = { path, type, mode, size, mtime, uid: 0, gid: 0 };
  const block = Buffer.alloc(blockBytes);
  const plain = new Header(facts);
  if (!plain.encode(block)) return block;
  return Buffer.concat([new Pax({ path, size, mtime }).encode(), block]);
}

/** What fills a file's last block up; nothing where it is full. */
function padding(size: number): Buffer[] {
  const rest = size % blockBytes;
  return rest === 0 ? [] : [Buffer.alloc(blockBytes - rest)];
}
