import { bytesToTellTar, isTar } from './detect.js';
import { TarReader } from './tar-reader.js';
import type { TreeWriter } from './tree-writer.js';

/** Takes a decompressed stream, and makes the tree of its tar, or a single file if it is no tar. */
export class StreamSorter {
  readonly #tree: TreeWriter;
  readonly #fileName: string;

  #head: Buffer | undefined = Buffer.alloc(0);
  #tar: TarReader | undefined;

  /** @param fileName raw name of the single file */
  constructor(tree: TreeWriter, fileName: string) {
    this.#tree = tree;
    this.#fileName = fileName;
  }

  push(chunk: Buffer): void {
    if (this.#head === undefined) return this.#pass(chunk);
    this.#head = Buffer.concat([this.#head, chunk]);
    if (this.#head.length >= bytesToTellTar(this.#head)) this.#decide(this.#head, false);
  }

  /** Ends the stream, which was complete. */
  end(): 'tar' | 'file' {
    if (this.#head !== undefined) this.#decide(this.#head, true);
    if (this.#tar === undefined) this.#tree.endFile();
    else this.#tar.end();
    return this.#tar === undefined ? 'file' : 'tar';
  }

  #decide(head: Buffer, whole: boolean): void {
    this.#head = undefined;
    if (isTar(head, whole)) this.#tar = new TarReader(this.#tree);
    else
      this.#tree.beginFile(this.#fileName, {
        size: undefined,
        executable: false,
        mtime: undefined,
      });
    this.#pass(head);
  }

  #pass(chunk: Buffer): void {
    if (this.#tar === undefined) this.#tree.write(chunk, 0, chunk.length);
    else this.#tar.push(chunk);
  }
}
