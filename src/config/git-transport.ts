import { AppError } from '../errors.js';

/** How a repository's address is to be understood. */
export type Transport = 'https' | 'ssh' | 'file';

/**
 * What a repository's address asks for.
 * @throws AppError bad_request for an address that git would take and we do not, and for one with a password in it
 */
export function transportOf(url: string): Transport {
  if (/[\0-\x20\x7f]/.test(url) || url.startsWith('-')) throw unusableAddress('holds a blank');
  if (/^https?:\/\/[^/]*:[^/]*@/i.test(url))
    throw unusableAddress('holds a password; name a file that holds the token instead');
  if (/^https:\/\/[^/]+\/./i.test(url)) return 'https';
  if (/^ssh:\/\/[^/]+\/./i.test(url)) return 'ssh';
  if (/^(file:\/\/)?\/./.test(url)) return 'file';
  // git-clone(1): the form of scp, as long as no slash stands before the colon; `ext::` and its like have two.
  if (/^[^/:]+:(?!:)(?!\/\/)./.test(url)) return 'ssh';
  throw unusableAddress('is neither https://… nor ssh://… nor user@host:path');
}

/** Credentials of a service, each in a file that only it can read. */
export interface Credentials {
  tokenFile?: string | undefined;
  /** Who the token belongs to; most hosts take any name. */
  username?: string | undefined;
  sshKeyFile?: string | undefined;
  knownHostsFile?: string | undefined;
}

/** An address that cannot be used, in words for the user. */
export function unusableAddress(why: string): AppError {
  return new AppError('bad_request', `the repository’s address ${why}`);
}
