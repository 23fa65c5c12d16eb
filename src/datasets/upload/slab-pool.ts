/** Large enough that handing one to the hashing thread costs little beside hashing it, small enough for 500 slow uploads. */
export const SLAB_BYTES = 256 * 1024;
const KEPT = 32;

/** Memory of its own, so that it can be handed to another thread. */
export type Slab = Uint8Array<ArrayBuffer>;

/** Slabs to use again, since fresh memory costs the kernel more than filling it costs us. */
export class SlabPool {
  private readonly free: Slab[] = [];

  take(): Slab {
    return this.free.pop() ?? new Uint8Array(SLAB_BYTES);
  }

  giveBack(slab: Slab): void {
    if (this.free.length < KEPT) this.free.push(slab);
  }
}
