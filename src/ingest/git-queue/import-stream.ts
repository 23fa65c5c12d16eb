import { isUnfitPath } from './git-names.js';

/** A file of a new commit: its content, or the id of an object that already holds it. */
export type FileChange = { path: string } & ({ content: Buffer } | { oid: string });

/** Author of a commit, and its time in milliseconds since 1970. */
export interface Signature {
  name: string;
  email: string;
  at: number;
}

/** Makes the input with which git-fast-import(1) creates one commit and prints its id. */
export function importStream(commit: {
  ref: string;
  parent: string | undefined;
  files: readonly FileChange[];
  message: string;
  by: Signature;
}): Buffer {
  const { ref, parent, files, message, by } = commit;
  const parts: (string | Buffer)[] = [
    `commit ${ref}\nmark :1\n`,
    `committer ${word(by.name)} <${word(by.email)}> ${Math.floor(by.at / 1000)} +0000\n`,
    ...data(Buffer.from(message)),
  ];
  if (parent !== undefined) parts.push(`from ${parent}\n`);
  for (const file of files) {
    const name = quotePath(file.path);
    if ('oid' in file) parts.push(`M 100644 ${file.oid} ${name}\n`);
    else parts.push(`M 100644 inline ${name}\n`, ...data(file.content));
  }
  parts.push('\nget-mark :1\ndone\n');
  return Buffer.concat(parts.map((part) => Buffer.from(part)));
}

/**
 * Makes the input with which git-fast-import(1) stores one file and prints the object's id.
 * @param size length of `bytes`
 */
export async function* blobStream(
  size: number,
  bytes: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  yield Buffer.from(`blob\nmark :1\ndata ${size}\n`);
  let sent = 0;
  for await (const chunk of bytes) {
    sent += chunk.length;
    if (sent > size) break;
    yield chunk;
  }
  if (sent !== size) throw new Error('a file changed while it was read');
  yield Buffer.from('\nget-mark :1\ndone\n');
}

function data(bytes: Buffer): [string, Buffer, string] {
  return [`data ${bytes.length}\n`, bytes, '\n'];
}

/** Removes the characters that would end a name or its line. */
function word(text: string): string {
  return text.replace(/[<>\0-\x1f\x7f]/g, '').trim();
}

/** Quotes a path. @throws Error for a path that no tree may hold */
function quotePath(path: string): string {
  if (isUnfitPath(path) || path.includes('\0'))
    throw new Error(`${JSON.stringify(path)} cannot be the path of a file in git`);
  return `"${path.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`;
}
