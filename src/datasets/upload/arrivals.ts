/** How much a user may store. */
export interface Room {
  /** Bytes that the user may have more; Infinity where there is no limit. */
  roomFor: (user: string) => number;
  /** @throws AppError quota_exceeded when that user may not have so many bytes more. */
  demandRoomFor: (user: string, bytes: number) => void;
}

interface Owner {
  /** On the disk, and not yet among what the user has stored. */
  bytes: number;
  /** Set aside for those that are being stored. */
  reserved: number;
  uploads: number;
  /** Undefined when it is to be asked for again. */
  room: number | undefined;
}

/** One upload's part of what arrives for its owner. */
export interface Arrival {
  /** @throws AppError quota_exceeded once all that arrives for the owner is more than they may have. */
  add(bytes: number): void;
  /**
   * Sets aside, until it ends, the room for all that is stored of it, as sent and unpacked. Others that only arrive take none of it.
   * @throws AppError quota_exceeded
   */
  reserve(bytes: number): void;
  /** To be called once the bytes are stored or gone; again does nothing. */
  end(): void;
}

/** Counts what users send while they send it: the length of a body need not be known beforehand, and several may come at once. */
export class Arrivals {
  readonly #owners = new Map<string, Owner>();

  constructor(private readonly room: Room) {}

  /**
   * @param length bytes to come, as far as known
   * @throws AppError quota_exceeded when there is no room for them beside what is on its way already.
   */
  begin(user: string, length: number): Arrival {
    const owner = this.#owners.get(user) ?? { bytes: 0, reserved: 0, uploads: 0, room: undefined };
    this.room.demandRoomFor(user, owner.bytes + length);
    this.#owners.set(user, owner);
    owner.uploads += 1;
    let own = 0;
    let reserved = 0;
    let hasEnded = false;
    return {
      add: (bytes) => {
        own += bytes;
        owner.bytes += bytes;
        owner.room ??= this.room.roomFor(user);
        if (owner.bytes <= owner.room) return;
        this.room.demandRoomFor(user, owner.bytes);
        // Something was deleted meanwhile.
        owner.room = undefined;
      },
      reserve: (bytes) => {
        this.room.demandRoomFor(user, owner.reserved + bytes);
        reserved += bytes;
        owner.reserved += bytes;
      },
      end: () => {
        if (hasEnded) return;
        hasEnded = true;
        owner.bytes -= own;
        owner.reserved -= reserved;
        owner.uploads -= 1;
        // What arrived is stored by now, and takes its room there.
        owner.room = undefined;
        if (owner.uploads === 0) this.#owners.delete(user);
      },
    };
  }
}
