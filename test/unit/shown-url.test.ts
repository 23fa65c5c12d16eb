import { expect, test } from '@jest/globals';
import { shownUrl, type OwnAddresses } from '../../src/config/shown-url.js';

const v4 = (address: string) => ({ address, family: 'IPv4' });
const v6 = (address: string) => ({ address, family: 'IPv6' });
const machine: OwnAddresses = {
  external: {
    docker0: [v4('172.17.0.1')],
    eth0: [v6('fe80::1'), v6('2001:db8::2'), v4('192.0.2.7')],
  },
  defaultInterface: 'eth0',
  isContainer: false,
};
const shown = (host: string, own: Partial<OwnAddresses> = {}, publicUrl?: string) =>
  shownUrl({ host, port: 8080, ingest: { publicUrl } }, { ...machine, ...own });

test.each<[string, string, Partial<OwnAddresses>, string | undefined, string]>([
  [
    'everywhere',
    '0.0.0.0',
    {},
    undefined,
    'http://192.0.2.7:8080   (on this machine: http://localhost:8080)',
  ],
  [
    'everywhere, by IPv6 alone',
    '::',
    { external: { eth0: [v6('fe80::1'), v6('2001:db8::2')] } },
    undefined,
    'http://[2001:db8::2]:8080   (on this machine: http://localhost:8080)',
  ],
  ['without a network', '0.0.0.0', { external: {} }, undefined, 'http://localhost:8080'],
  [
    'without a default route',
    '0.0.0.0',
    { defaultInterface: undefined },
    undefined,
    'http://172.17.0.1:8080   (on this machine: http://localhost:8080)',
  ],
  [
    'in a container',
    '0.0.0.0',
    { isContainer: true },
    undefined,
    'http://localhost:8080   (outside this container: the port that its host publishes)',
  ],
  [
    'behind a proxy',
    '127.0.0.1',
    {},
    'https://jobs.example.com',
    'https://jobs.example.com   (on this machine: http://127.0.0.1:8080)',
  ],
  [
    'on loopback',
    '127.0.0.1',
    {},
    undefined,
    'http://127.0.0.1:8080   (on this machine only: JR_HOST=127.0.0.1)',
  ],
  ['at one address', '192.0.2.7', {}, undefined, 'http://192.0.2.7:8080'],
])('the address of an API that listens %s', (_, host, own, publicUrl, expected) => {
  expect(shown(host, own, publicUrl)).toBe(expected);
});
