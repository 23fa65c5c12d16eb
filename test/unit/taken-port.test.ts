import { expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { basename } from 'node:path';
import { ConfigError } from '../../src/config/config-error.js';
import { refuseTakenPort } from '../../src/config/taken-port.js';

test.each([
  ['one address', '127.0.0.1'],
  ['all addresses', undefined],
])('a port taken on %s is told with its process', async (_, host) => {
  const server = createServer().listen({ port: 0, host });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    await expect(refuseTakenPort('JR_PORT', '127.0.0.1', port)).rejects.toEqual(
      new ConfigError(
        `JR_PORT: port ${port} on 127.0.0.1 is taken by ${basename(process.execPath)} (pid ${process.pid}); set another`,
      ),
    );
  } finally {
    server.close();
    await once(server, 'close');
  }
  // A free one is no error.
  await refuseTakenPort('JR_PORT', '127.0.0.1', port);
});
