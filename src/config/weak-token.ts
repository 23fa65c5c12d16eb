import { BlockList, isIP } from 'node:net';
import { ConfigError } from './config-error.js';
import type { Config } from './config.js';

/** Texts of examples and old defaults, without the signs between their words. */
const placeholders = new Set(
  'changeme changethis changeit replaceme replacethis yourtoken yoursecrettoken yourauthtoken'
    .concat(' password password1 passw0rd 12345678 123456789 1234567890')
    .split(' '),
);
const leastCharacters = 16;

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

/**
 * Judges the owner's token before the API listens beyond this machine.
 * @returns a warning for the first screen, or undefined
 * @throws ConfigError for a token of examples
 */
export function judgeToken({
  authToken,
  host,
}: Pick<Config, 'authToken' | 'host'>): string | undefined {
  if (authToken === undefined || isOnLoopback(host)) return undefined;
  const remedy =
    'leave it unset to have one made, choose another ("openssl rand -hex 16"), or set JR_HOST=127.0.0.1';
  const words = authToken.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  if (placeholders.has(words) || new Set(words).size < 2)
    throw new ConfigError(
      `JR_AUTH_TOKEN: everybody tries this one first, and the API listens on ${host}; ${remedy}`,
    );
  if (authToken.length >= leastCharacters) return undefined;
  return `JR_AUTH_TOKEN is shorter than ${leastCharacters} characters, and the API listens on ${host}: anybody who guesses it can run code here; ${remedy}`;
}

function isOnLoopback(host: string): boolean {
  const kind = isIP(host);
  return kind === 0 ? host === 'localhost' : loopback.check(host, kind === 4 ? 'ipv4' : 'ipv6');
}
