/**
 * The size of a pooled buffer: large enough that handing one to the hashing thread costs little
 * beside hashing it, small enough for 500 slow uploads.
 */
export const BUFFER_BYTES = 256 * 1024;
const maxKept = 32;

/** Memory with an `ArrayBuffer` of its own, so that it can be handed to another thread. */
export type PooledBuffer = Uint8Array<ArrayBuffer>;

/** Reuses buffers: the kernel takes longer to provide fresh memory than we take to fill it. */
export class BufferPool {
  readonly #free: PooledBuffer[] = [];

  take(): PooledBuffer {
    return this.#free.pop() ?? new Uint8Array(BUFFER_BYTES);
  }

  giveBack(buffer: PooledBuffer): void {
    if (this.#free.length < maxKept) this.#free.push(buffer);
  }
}
