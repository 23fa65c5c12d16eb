import { connect, type TLSSocket } from 'node:tls';
import { digestOf, isSameSecret } from '../../config/join-token.js';
import { errnoOf } from '../../errors.js';

export interface LinkTarget {
  host: string;
  port: number;
  /** SHA-256 of the certificate in DER. */
  fingerprint: Buffer;
  /** A connection that is silent for so long counts as broken. */
  silenceMs: number;
}

export const silenceError = (ms: number) => new Error(`no byte for ${ms / 1000} s`);

const noTls =
  'no JobRunner answers workers at this port; JR_CONTROLLER takes the port that JR_JOIN_PORT names on the controller';

/** Returns whether the other side speaks another protocol than TLS 1.3, or hung up over ours. */
function isNoTls(error: Error): boolean {
  const code = errnoOf(error) ?? '';
  return code.startsWith('ERR_SSL_') || code === 'EPROTO' || code === 'ECONNRESET';
}

/**
 * Connects to the join port, and accepts only that certificate, whatever its name and date. It is
 * open once `done` is called without an error.
 */
export function connectPinned(
  { host, port, fingerprint, silenceMs }: LinkTarget,
  done: (error: Error | null, socket: TLSSocket) => void,
): void {
  const socket = connect({ host, port, minVersion: 'TLSv1.3', rejectUnauthorized: false });
  let isSecured = false;
  socket.once('error', (error: Error) => {
    done(isSecured || !isNoTls(error) ? error : new Error(noTls, { cause: error }), socket);
  });
  // A request's own timeout counts only once it has a socket.
  const onSilence = () => socket.destroy(silenceError(silenceMs));
  socket.setTimeout(silenceMs, onSilence);
  socket.once('secureConnect', () => {
    isSecured = true;
    socket.setTimeout(0, onSilence);
    const found = digestOf(socket.getPeerCertificate().raw);
    if (isSameSecret(found.toString('hex'), fingerprint.toString('hex'))) return done(null, socket);
    socket.destroy();
    done(
      new Error(
        'its certificate is not the one in JR_JOIN_TOKEN; take the token from "jobrunner worker token" there',
      ),
      socket,
    );
  });
}
