import { readFileSync, statSync } from 'node:fs';
import { errnoOf } from '../../errors.js';
import { boxesRecordSchema, type BoxRecord } from './record.js';
import { digestOf, isSameSecret } from '../../config/join-token.js';

/** The worker boxes as the stack keeps them in `boxes/boxes.json`; read again whenever that is another file. */
export class BoxList {
  #boxes: BoxRecord[] = [];
  #stamp = '';

  constructor(private readonly path: string) {}

  /** Those that have joined and not left; whether they answer, Slurm knows. */
  open(): BoxRecord[] {
    return this.all().filter((box) => !box.left);
  }

  /** Those that have left, too. */
  all(): readonly BoxRecord[] {
    try {
      const { ino, mtimeMs, size } = statSync(this.path);
      const stamp = `${ino} ${mtimeMs} ${size}`;
      if (stamp !== this.#stamp) {
        this.#boxes = boxesRecordSchema.parse(JSON.parse(readFileSync(this.path, 'utf8'))).boxes;
        this.#stamp = stamp;
      }
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      this.#boxes = [];
      this.#stamp = '';
    }
    return this.#boxes;
  }

  /** Whose token that is. */
  holderOf(token: string): BoxRecord | undefined {
    const hash = digestOf(token).toString('hex');
    return this.all().find((box) => isSameSecret(box.token_hash, hash));
  }
}
