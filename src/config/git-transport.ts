import { AppError } from '../errors.js';

/** The transport that a repository's address asks for. */
export type Transport = 'https' | 'ssh' | 'file';

/**
 * Reads the transport from a repository's address.
 * @throws AppError bad_request for an address with a password, or of a form that git takes and we
 *   do not
 */
export function transportOf(url: string): Transport {
  if (/[\0-\x20\x7f]/.test(url) || url.startsWith('-')) throw unusableAddress('contains a blank');
  if (/^https?:\/\/[^/]*:[^/]*@/i.test(url))
    throw unusableAddress('contains a password; name a file with the token instead');
  if (/^https:\/\/[^/]+\/./i.test(url)) return 'https';
  if (/^ssh:\/\/[^/]+\/./i.test(url)) return 'ssh';
  if (/^(file:\/\/)?\/./.test(url)) return 'file';
  // The form of scp needs no slash before the colon (git-clone(1)); `ext::` and its like have two
  // colons.
  if (/^[^/:]+:(?!:)(?!\/\/)./.test(url)) return 'ssh';
  throw unusableAddress('is neither https://… nor ssh://… nor user@host:path');
}

/** Credentials of a service, each in a file that only the service can read. */
export interface Credentials {
  tokenFile?: string | undefined;
  /** The token's owner; most hosts accept any name. */
  username?: string | undefined;
  sshKeyFile?: string | undefined;
  knownHostsFile?: string | undefined;
}

/** Makes the error for an unusable address. */
export function unusableAddress(why: string): AppError {
  return new AppError('bad_request', `the repository’s address ${why}`);
}
