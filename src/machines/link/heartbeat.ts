import type { Http2Session } from 'node:http2';

/** Pings within the time after which the other side counts as gone. */
const pings = 4;

/** Ends a session whose other side answers no ping for `silenceMs`. */
export function endWhenSilent(session: Http2Session, silenceMs: number): void {
  let heardAt = performance.now();
  const timer = setInterval(() => {
    if (session.destroyed || session.closed) return;
    const silentMs = performance.now() - heardAt;
    if (silentMs > silenceMs)
      session.destroy(new Error(`no answer for ${Math.round(silentMs / 1000)} s`));
    else
      session.ping((error) => {
        if (error === null) heardAt = performance.now();
      });
  }, silenceMs / pings);
  session.once('close', () => clearInterval(timer));
}
