/** Tells how much a user may store. */
export interface Room {
  /** Returns the bytes that the user may still store; Infinity if there is no limit. */
  roomFor: (user: string) => number;
  /** @throws AppError quota_exceeded when the user may not store so many bytes more */
  ensureRoomFor: (user: string, bytes: number) => void;
}

interface Owner {
  /** Bytes on the disk that do not count as stored yet. */
  bytes: number;
  /** Bytes set aside for uploads that are being stored. */
  reserved: number;
  uploads: number;
  /** Bytes the user may still store; undefined when they must be asked for again. */
  room: number | undefined;
}

/** One upload's share of its owner's quota. */
export interface UploadReservation {
  /** @throws AppError quota_exceeded once all the owner's uploads together exceed their quota */
  add(bytes: number): void;
  /** Returns the bytes that {@link reserve} would still set aside; Infinity without a limit. */
  room(): number;
  /**
   * Sets aside, until the reservation ends, the room for the upload as sent and unpacked. Uploads
   * that are still arriving take none of it.
   * @throws AppError quota_exceeded
   */
  reserve(bytes: number): void;
  /** Ends the reservation, once the bytes are stored or gone; a second call does nothing. */
  end(): void;
}

/**
 * Counts users' bytes while they arrive: a body's length need not be known beforehand, and several
 * bodies may arrive at once.
 */
export class UploadReservations {
  readonly #owners = new Map<string, Owner>();
  readonly #room: Room;

  constructor(room: Room) {
    this.#room = room;
  }

  /**
   * @param length bytes to come, as far as known
   * @throws AppError quota_exceeded when they do not fit beside the owner's other uploads
   */
  begin(user: string, length: number): UploadReservation {
    const owner = this.#owners.get(user) ?? { bytes: 0, reserved: 0, uploads: 0, room: undefined };
    this.#room.ensureRoomFor(user, owner.bytes + length);
    this.#owners.set(user, owner);
    owner.uploads += 1;
    let own = 0;
    let reserved = 0;
    let hasEnded = false;
    return {
      add: (bytes) => {
        own += bytes;
        owner.bytes += bytes;
        owner.room ??= this.#room.roomFor(user);
        if (owner.bytes <= owner.room) return;
        this.#room.ensureRoomFor(user, owner.bytes);
        // The user has deleted something meanwhile.
        owner.room = undefined;
      },
      room: () => Math.max(0, this.#room.roomFor(user) - owner.reserved),
      reserve: (bytes) => {
        this.#room.ensureRoomFor(user, owner.reserved + bytes);
        reserved += bytes;
        owner.reserved += bytes;
      },
      end: () => {
        if (hasEnded) return;
        hasEnded = true;
        owner.bytes -= own;
        owner.reserved -= reserved;
        owner.uploads -= 1;
        // The bytes that arrived count as stored by now, so the room has changed.
        owner.room = undefined;
        if (owner.uploads === 0) this.#owners.delete(user);
      },
    };
  }
}
