import { Header, Pax } from 'tar';

const block = 512;

/** The two empty blocks that end an archive. */
export const tarEnd = Buffer.alloc(2 * block);

/**
 * Builds the header of one entry. A PAX header precedes it where the old fields are too short (long
 * or non-ASCII names, more than 8 GiB). The same arguments always give the same bytes: owner 0,
 * modes 644 and 755, whole seconds.
 * @param path without a leading or trailing slash
 * @param size bytes; 0 for a folder
 */
export function tarHeader(
  path: string,
  kind: 'file' | 'folder',
  size: number,
  modified: Date,
): Buffer {
  const fields = {
    path: kind === 'folder' ? `${path}/` : path,
    size,
    uid: 0,
    gid: 0,
    mtime: new Date(Math.floor(modified.getTime() / 1000) * 1000),
  };
  const header = new Header({
    ...fields,
    type: kind === 'folder' ? 'Directory' : 'File',
    mode: kind === 'folder' ? 0o755 : 0o644,
    devmaj: 0,
    devmin: 0,
    uname: '',
    gname: '',
  });
  const buffer = Buffer.alloc(block);
  if (!header.encode(buffer, 0)) return buffer;
  return Buffer.concat([new Pax(fields).encode(), buffer]);
}

/** Returns the zeros that fill the last block of an entry of `size` bytes. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((block - (size % block)) % block);
}
