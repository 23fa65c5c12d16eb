import { readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../config/config-error.js';
import type { Config } from '../../config/config.js';
import { errnoOf } from '../../errors.js';
import type { Layout } from '../../config/layout.js';
import {
  HostsFileError,
  parseHosts,
  type Login,
  type SshHost,
} from '../../cluster/ssh-hosts/hosts.js';
import type {
  HostsRecord,
  ResolvedHost,
  ResolvedLogin,
} from '../../cluster/ssh-hosts/resolved-hosts.js';
import { CredentialError, readIdentity } from '../ssh-hosts/identity-file.js';
import type { UnixUsers } from '../daemons/unix-users.js';
import { privateFile } from '../daemons/folders.js';

const maxBytes = 4 * 1024 ** 2;

/**
 * Reads the SSH hosts file. @returns undefined when there is none and none was named.
 * @throws HostsFileError
 */
export function readHostsFile({ nodesFile, isNamed }: Config['ssh']): string | undefined {
  try {
    const { mode, size } = statSync(nodesFile);
    // The file names the files that root reads as keys.
    if ((mode & 0o022) !== 0)
      throw new HostsFileError('users other than its owner can write it; run chmod go-w');
    if (size > maxBytes) throw new HostsFileError('is larger than 4 MiB');
    return readFileSync(nodesFile, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' && !isNamed) return undefined;
    if (errnoOf(error) === undefined) throw error;
    throw new HostsFileError(`cannot be read (${errnoOf(error)})`);
  }
}

/** Formats the problem as one line for the author of the file. */
export function hostsFileProblem(ssh: Config['ssh'], error: HostsFileError): string {
  return `JR_SSH_NODES: ${ssh.nodesFile}: ${error.message}`;
}

/**
 * Reads the hosts of the file and checks everything but their keys.
 * @throws ConfigError, one line, before anything is started
 */
export function hostsOrConfigError(ssh: Config['ssh']): SshHost[] {
  try {
    return parseHosts(readHostsFile(ssh) ?? '');
  } catch (error) {
    if (error instanceof HostsFileError) throw new ConfigError(hostsFileProblem(ssh, error));
    throw error;
  }
}

/**
 * Copies every key, password and known host to where only `jr-remote` finds them. Changes nothing
 * unless all are usable.
 * @param kept hosts that left the file but still have jobs: their keys stay
 * @throws HostsFileError
 */
export async function layOutHosts(
  hosts: readonly SshHost[],
  kept: readonly ResolvedHost[],
  passwords: Readonly<Record<string, string>>,
  layout: Layout,
  unixUsers: UnixUsers,
): Promise<ResolvedHost[]> {
  const files = new Map<string, string>();
  const checked = new Map<string, string>();

  const resolved: ResolvedHost[] = [];
  for (const host of hosts) {
    const logins: ResolvedLogin[] = [];
    for (const [i, login] of [host as Login, ...host.proxy_jump].entries()) {
      const identity = await identityOf(host.name, login);
      const password = passwordOf(host.name, login);
      logins.push({
        host: login.host,
        port: login.port,
        user: login.user,
        identity_path: keep(`${host.name}.${i}.key`, identity),
        password_path: keep(`${host.name}.${i}.password`, password),
      });
    }
    const [own, ...jumps] = logins;
    if (own === undefined) continue;
    const { name, gpus, cpus, memory_gb, workdir, labels } = host;
    const more = { name, gpus, cpus, memory_gb, workdir, labels, leaving: false };
    resolved.push({ ...own, ...more, proxy_jump: jumps });
  }
  const known = [...new Set(hosts.map((host) => knownHostsOf(host)))].filter((text) => text !== '');

  const { 'jr-remote': remote } = unixUsers;
  // ssh(1) takes a user's key only if no other user can read it.
  for (const [path, content] of files) privateFile(path, content, 0o400, remote);
  const knownText = known.map((text) => `${text}\n`).join('');
  privateFile(layout.sshKnownHosts, knownText, 0o444, { uid: 0, gid: remote.gid });
  removeOtherKeys([...resolved, ...kept], layout);
  return resolved;

  function keep(name: string, content: string | undefined): string | null {
    if (content === undefined) return null;
    const path = join(layout.sshKeys, name);
    files.set(path, content);
    return path;
  }

  async function identityOf(name: string, login: Login): Promise<string | undefined> {
    const { identity_file: path } = login;
    if (path === undefined) return undefined;
    const known = checked.get(path);
    if (known !== undefined) return known;
    const key = await readIdentity(path).catch((error: unknown) => {
      if (!(error instanceof CredentialError)) throw error;
      throw new HostsFileError(`hosts.${name}.identity_file: ${error.message}`);
    });
    checked.set(path, key);
    return key;
  }

  function passwordOf(name: string, login: Login): string | undefined {
    const { password_variable: variable } = login;
    if (variable === undefined) return undefined;
    const password = passwords[variable];
    if (password === undefined)
      throw new HostsFileError(
        `hosts.${name}.password_variable: ${variable} is not set; set it in JobRunner’s environment`,
      );
    return password;
  }

  function knownHostsOf(host: SshHost): string {
    const { known_hosts: given } = host;
    if (given === undefined) return '';
    const text = given.startsWith('/') ? read(`hosts.${host.name}.known_hosts`, given) : given;
    return text.trim();
  }
}

/** Removes the keys that no host needs any more. */
export function removeOtherKeys(hosts: readonly ResolvedHost[], layout: Layout): void {
  const needed = hosts
    .flatMap((host) => [host, ...host.proxy_jump])
    .flatMap((login) => [login.identity_path, login.password_path]);
  for (const name of readdirSync(layout.sshKeys)) {
    const path = join(layout.sshKeys, name);
    if (path !== layout.sshKnownHosts && !needed.includes(path)) rmSync(path);
  }
}

/** Writes the record of hosts for the API and `jr-remote`. */
export function writeHostsRecord(record: HostsRecord, layout: Layout, unixUsers: UnixUsers): void {
  const owner = { uid: 0, gid: unixUsers['jr-remote'].gid };
  privateFile(layout.sshHosts, `${JSON.stringify(record, null, 2)}\n`, 0o440, owner);
}

/** Reads a file that a field names. @throws HostsFileError */
function read(field: string, path: string): string {
  try {
    if (!statSync(path).isFile()) throw new HostsFileError(`${field}: ${path} is not a file`);
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw new HostsFileError(`${field}: ${path} cannot be read (${errnoOf(error)})`);
  }
}
