import type { Http2Session } from 'node:http2';

const tickMs = 1000;
/** Longer than a round trip over a slow and busy line. */
const silentMs = 3000;

/**
 * Tells whether the other side of a session answers. There is one ping at a time: TCP loses none.
 */
export class Heartbeat {
  /** The time without an answer; it stands still while this process is stopped. */
  #waitedMs = 0;
  #isWaiting = false;

  /**
   * Ends the session once it has been silent for `deadAfterMs`.
   * @param onHeard is called when the other side answers again
   */
  constructor(session: Http2Session, deadAfterMs: number, onHeard: () => void) {
    const everyMs = Math.min(tickMs, deadAfterMs / 4);
    const timer = setInterval(() => {
      if (session.destroyed || session.closed) return;
      if (!this.#isWaiting) this.#ping(session, onHeard);
      else if ((this.#waitedMs += everyMs) > deadAfterMs)
        session.destroy(new Error(`no answer for ${Math.round(this.#waitedMs / 1000)} s`));
    }, everyMs);
    session.once('close', () => clearInterval(timer));
  }

  /** Whether an answer is overdue: the line is cut, or about to work again. */
  get isSilent(): boolean {
    return this.#waitedMs > silentMs;
  }

  #ping(session: Http2Session, onHeard: () => void): void {
    this.#isWaiting = true;
    session.ping((error) => {
      if (error !== null) return;
      const { isSilent } = this;
      this.#isWaiting = false;
      this.#waitedMs = 0;
      if (isSilent) onHeard();
    });
  }
}
