import { isUnfitPath } from './git-names.js';

/** A file of a new commit: its content, or the object that has it already. */
export type FileChange = { path: string } & ({ content: Buffer } | { oid: string });

/** Who made a commit, and when, in milliseconds since 1970. */
export interface Signature {
  name: string;
  email: string;
  at: number;
}

/** What git-fast-import(1) reads to make one commit and to print its name. */
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

/** What it reads to keep one file's bytes and to print the name of the object. `size` is what `bytes` come to. */
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

/** A name that ends neither its line nor its place in it. */
function word(text: string): string {
  return text.replace(/[<>\0-\x1f\x7f]/g, '').trim();
}

/** @throws Error for what no tree may hold. */
function quotePath(path: string): string {
  if (isUnfitPath(path) || path.includes('\0'))
    throw new Error(`${JSON.stringify(path)} cannot be the path of a file in git`);
  return `"${path.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`;
}
