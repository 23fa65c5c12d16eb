import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { URL } from 'node:url';
import { seeded } from './seeded.js';

const fileBytes = 3 * 2 ** 20;
const atOnce = 20;

/**
 * Starts `count` uploads, some at the same time, and breaks each off at a random byte.
 * @param {import('./stack.js').Stack} stack
 * @param {number} count
 */
export async function cutOffUploads(stack, count) {
  const random = seeded(1);
  const head = [
    `PUT /datasets/${'0'.repeat(64)} HTTP/1.1`,
    'Host: bench',
    `Authorization: Bearer ${stack.token}`,
    `Content-Length: ${fileBytes}`,
    '\r\n',
  ].join('\r\n');
  const request = Buffer.concat([Buffer.from(head), randomBytes(fileBytes)]);
  for (let done = 0; done < count; done += atOnce)
    await Promise.all(
      Array.from({ length: Math.min(atOnce, count - done) }, () =>
        cutOff(stack.url, request.subarray(0, head.length + Math.floor(random() * fileBytes))),
      ),
    );
}

/**
 * @param {string} url
 * @param {Buffer} bytes
 */
async function cutOff(url, bytes) {
  const { port, hostname } = new URL(url);
  const socket = connect({ port: Number(port), host: hostname });
  const closed = once(socket, 'close');
  socket.resume();
  socket.write(bytes, () => socket.destroySoon());
  await closed;
}
