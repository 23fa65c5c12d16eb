import type { ResolvedHost, ResolvedLogin } from '../../../cluster/ssh-hosts/resolved-hosts.js';

/**
 * The cause of a failed call to an SSH host. `unreachable`: no connection, or it broke. `host_key`:
 * the host key is not the known one. `denied`: the login failed. `no_room`: its disk is full.
 * `folder`: its working folder is unusable. `other`: the program there failed.
 */
export type SshFault = 'unreachable' | 'host_key' | 'denied' | 'no_room' | 'folder' | 'other';

/** An error whose message names the host and the remedy, and no secret. */
export class SshError extends Error {
  override readonly name = 'SshError';
  constructor(
    readonly fault: SshFault,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }

  /** True when the same call may succeed a little later. */
  get mayPass(): boolean {
    return this.fault === 'unreachable';
  }
}

/** Exit code of ssh(1) for its own failures. */
const ownFailure = 255;
/** Exit code of libexec/ssh-host.sh for an unusable working folder. */
const folderFailure = 72;

// Messages of OpenSSH's client (sshconnect.c, sshconnect2.c, packet.c, clientloop.c).
const hostKey =
  /host key verification failed|host key is known for|remote host identification has changed|host key for .* has changed|revoked host key/i;
const denied =
  /permission denied|too many authentication failures|no supported authentication methods|unprotected private key|bad permissions|error in libcrypto|invalid format|no such identity|load key/i;
/** Says more than the messages of later steps. */
const noWay =
  /connection refused|timed out|no route to host|network is unreachable|could not resolve|not responding|open failed/i;
/** A jump host whose sshd forwards no connections (AllowTcpForwarding, PermitOpen). */
const noForwarding = /open failed: administratively prohibited/i;
/** ssh's words about the end of a connection that a ProxyCommand made: no cause stands in them. */
const unnamedPeer = /\bUNKNOWN port 65535\b/;
const noRoom = /no space left on device|disk quota exceeded|file too large/i;

/**
 * Makes the error of a failed call.
 * @param code exit code of ssh; null when a signal ended it
 * @param said standard error of ssh and of the program there
 */
export function sshError(host: ResolvedHost, code: number | null, said: string): SshError {
  const lines = said
    .split(/\r?\n/)
    .map((line) => line.replace(/[^ -~]+/g, ' ').trim())
    .filter((line) => line !== '')
    .map((line) => line.replace(unnamedPeer, `${host.host} port ${host.port}`));
  const lastOf = (pattern: RegExp) => lines.findLast((line) => pattern.test(line));
  const cause = new Error(said.slice(-4000));
  const fail = (fault: SshFault, words: string) =>
    new SshError(fault, `SSH host ${host.name}: ${words}`, { cause });

  if (code === ownFailure || code === null) {
    if (lastOf(hostKey) !== undefined) {
      const which = lastOf(/host key (is known )?for/i) ?? lastOf(hostKey) ?? '';
      return fail(
        'host_key',
        `its host key is not the known one (${brief(which)}). If the machine is new or was set up anew, put its key into known_hosts: run ssh-keyscan -p ${host.port} ${host.host}, and compare it with the machine's own /etc/ssh/ssh_host_*_key.pub`,
      );
    }
    const refusal = lastOf(denied);
    if (refusal !== undefined) return fail('denied', refusedLogin(host, refusal));
    const prohibited = lastOf(noForwarding);
    if (prohibited !== undefined)
      return fail(
        'denied',
        `its jump host forwards no connection to ${host.host}:${host.port} (${brief(prohibited)}). Allow it there: AllowTcpForwarding and PermitOpen in sshd_config`,
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
      `its working folder ${host.workdir} is unusable (${last}); set another workdir, or give the folder to ${host.user}`,
    );
  return fail('other', `${last}; it needs bash 4.4, coreutils and tar`);
}

/** Explains which machine on the way refuses the login, and what to correct. */
function refusedLogin(host: ResolvedHost, refusal: string): string {
  // ssh names the login: "me@10.0.0.1: Permission denied (publickey)."
  const [, user, machine] = /^([^@\s]+)@(\S+): /.exec(refusal) ?? [];
  const isOf = (login: ResolvedLogin) => login.user === user && login.host === machine;
  const jump = isOf(host) ? undefined : host.proxy_jump.find(isOf);
  const login = jump ?? host;
  const remedies = [
    ...(login.identity_path === null
      ? []
      : [`add the public half of its identity_file to ~${login.user}/.ssh/authorized_keys there`]),
    ...(login.password_path === null ? [] : ['correct the password in its password_variable']),
  ];
  const remedy =
    remedies.length > 0
      ? remedies.join(', or ')
      : 'give it an identity_file or a password_variable';
  const subject = jump === undefined ? 'it' : `its jump host ${jump.host}`;
  return `${subject} refuses the login of ${login.user} (${brief(refusal.replace(/\.$/, ''))}). Check the user; ${remedy}`;
}

function brief(line: string): string {
  return line.length > 300 ? `${line.slice(0, 300)}...` : line;
}
