import type { ResolvedHost } from '../../../cluster/ssh-hosts/resolved-hosts.js';

/**
 * Why nothing came of a call to an SSH host. `unreachable`: no connection, or it broke. `host_key`: it is not known to be that
 * host. `denied`: it does not let us in. `no_room`: its disk is full. `folder`: its working folder cannot be used. `other`: what
 * ran there failed.
 */
export type SshFault = 'unreachable' | 'host_key' | 'denied' | 'no_room' | 'folder' | 'other';

/** The message names the host and the remedy, and holds nothing secret. */
export class SshError extends Error {
  override readonly name = 'SshError';
  constructor(
    readonly fault: SshFault,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }

  /** Whether the same call may succeed a little later. */
  get mayPass(): boolean {
    return this.fault === 'unreachable';
  }
}

/** Exit code of ssh(1) when it failed itself. */
const ownFailure = 255;
/** Exit code of libexec/ssh-host.sh when the working folder cannot be used. */
const folderFailure = 72;

// What OpenSSH's client prints (sshconnect.c, sshconnect2.c, packet.c, clientloop.c).
const hostKey =
  /host key verification failed|host key is known for|remote host identification has changed|host key for .* has changed|revoked host key/i;
const denied =
  /permission denied|too many authentication failures|no supported authentication methods|unprotected private key|bad permissions|error in libcrypto|invalid format|no such identity|load key/i;
/** Says more than what the steps after it say of it. */
const noWay =
  /connection refused|timed out|no route to host|network is unreachable|could not resolve|not responding|open failed/i;
const noRoom = /no space left on device|disk quota exceeded|file too large/i;

/**
 * @param code what ssh ended with; null when a signal ended it
 * @param said what it, and what ran there, said on standard error
 */
export function sshError(host: ResolvedHost, code: number | null, said: string): SshError {
  const lines = said
    .split(/\r?\n/)
    .map((line) => line.replace(/[^ -~]+/g, ' ').trim())
    .filter((line) => line !== '');
  const lastOf = (pattern: RegExp) => lines.findLast((line) => pattern.test(line));
  const cause = new Error(said.slice(-4000));
  const fail = (fault: SshFault, words: string) =>
    new SshError(fault, `SSH host ${host.name}: ${words}`, { cause });

  if (code === ownFailure || code === null) {
    if (lastOf(hostKey) !== undefined) {
      const which = lastOf(/host key (is known )?for/i) ?? lastOf(hostKey) ?? '';
      return fail(
        'host_key',
        `its key is not the one that is known (${brief(which)}). If the machine was set up anew, or is new, put its key into known_hosts: ssh-keyscan -p ${host.port} ${host.host}, and compare it with the machine's own /etc/ssh/ssh_host_*_key.pub`,
      );
    }
    const refusal = lastOf(denied);
    if (refusal !== undefined)
      return fail(
        'denied',
        `it does not let us in (${brief(refusal)}). Look after user, identity_file and password_variable of the host and of its proxy_jump, and the authorized_keys there`,
      );
    const why = lastOf(noWay) ?? lines.at(-1) ?? 'the connection broke';
    return fail('unreachable', `cannot be reached (${brief(why)})`);
  }
  const full = lastOf(noRoom);
  if (full !== undefined)
    return fail('no_room', `its disk is full (${brief(full)}); free some space below its workdir`);
  const last = brief(lines.at(-1) ?? `exit code ${code}`);
  if (code === folderFailure)
    return fail(
      'folder',
      `its working folder ${host.workdir} cannot be used (${last}); name another as workdir, or give it to ${host.user}`,
    );
  return fail('other', `${last}; it needs bash 4.4, coreutils and tar`);
}

function brief(line: string): string {
  return line.length > 300 ? `${line.slice(0, 300)}...` : line;
}
