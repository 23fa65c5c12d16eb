import { constants, type Http2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/**
 * Joins a TCP connection and a stream of a link, in both directions. Each direction ends by itself:
 * Slurm sends some messages and closes its side at once. A side that breaks off resets the other,
 * so that neither daemon takes half a message for a whole one.
 * @param socket must have been opened with `allowHalfOpen`
 */
export function carry(socket: Socket, stream: Http2Stream): void {
  socket.setNoDelay(true);
  const reset = () => socket.resetAndDestroy();
  // `close` would end the stream before it cancels it (node:http2).
  const cancel = () => stream.destroy(new Error('the connection broke off'));
  // After an error comes `close`, which tells the other side.
  socket.on('error', cancel);
  stream.on('error', reset);
  socket.once('close', () => {
    if (!isDone(socket)) cancel();
  });
  stream.once('close', () => {
    if (!isDone(stream) || stream.rstCode !== constants.NGHTTP2_NO_ERROR) reset();
  });
  stream.once('aborted', reset);
  socket.pipe(stream);
  stream.pipe(socket, { end: false });
  stream.once('end', () => {
    // A stream that was cancelled ends, too.
    if (stream.closed && stream.rstCode !== constants.NGHTTP2_NO_ERROR) reset();
    else socket.end();
  });
}

const isDone = (side: Duplex) => side.readableEnded && side.writableFinished;
