import { readFileSync, statSync } from 'node:fs';
import { execa } from 'execa';
import { errnoOf } from '../../errors.js';

/** A key or password that ssh cannot use; the message names it and the remedy. */
export class CredentialError extends Error {
  override readonly name = 'CredentialError';
}

const makeOne = 'make one with ssh-keygen -t ed25519 -N ""';

/**
 * Reads a private key, and checks that ssh can use it without asking for a passphrase.
 * @throws CredentialError
 */
export async function readIdentity(path: string): Promise<string> {
  const refuse = (why: string) => new CredentialError(`${path} ${why}`);
  let key: string;
  try {
    if (!statSync(path).isFile()) throw refuse('is not a file; name a private key');
    key = readFileSync(path, 'utf8');
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    throw refuse(
      code === 'ENOENT'
        ? `does not exist; name a private key, or ${makeOne}`
        : `cannot be read (${code}); run this as root (sudo)`,
    );
  }
  if (/^(ssh|ecdsa|sk)-\S+ AAAA/m.test(key) && !key.includes('PRIVATE KEY'))
    throw refuse(`is a public key; name its private half${privateHalf(path)}`);
  // ssh-keygen does not check a pipe's mode; Node's own pipes are sockets, which have no path to
  // open.
  const { failed } = await execa('sh', ['-c', 'cat | ssh-keygen -y -P "" -f /dev/stdin'], {
    input: key,
    reject: false,
    timeout: 10_000,
  });
  if (!failed) return key;
  throw refuse(
    hasPassphrase(key)
      ? `has a passphrase, which nobody could type; remove it with ssh-keygen -p -N "" -f ${path}, or ${makeOne}`
      : `is not a private key without a passphrase; ${makeOne}`,
  );
}

/** From a pipe, ssh-keygen says the same of an encrypted key and of a broken one. */
function hasPassphrase(key: string): boolean {
  // PEM (RFC 1421, RFC 5208).
  if (/\bENCRYPTED\b/.test(key)) return true;
  const body = /^-----BEGIN OPENSSH PRIVATE KEY-----([^-]*)/m.exec(key)?.[1] ?? '';
  const bytes = Buffer.from(body, 'base64');
  // OpenSSH's PROTOCOL.key: the magic "openssh-key-v1" with a NUL, then the cipher as a string.
  const cipher = bytes.subarray(19, 23).toString('latin1');
  return bytes.toString('latin1', 0, 15) === 'openssh-key-v1\0' && cipher !== 'none';
}

function privateHalf(path: string): string {
  return path.endsWith('.pub') ? `, such as ${path.slice(0, -'.pub'.length)}` : '';
}
