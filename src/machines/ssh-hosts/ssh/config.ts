import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { shellQuote } from '../../../jobs/script/shell-quote.js';
import type { ResolvedHost, ResolvedLogin } from '../../../cluster/ssh-hosts/resolved-hosts.js';

export interface SshSettings {
  knownHosts: string;
  /** A folder of this process's own, for the files made here and its sockets. */
  scratch: string;
  /** The program that prints a password. */
  askpass: string;
  /** Seconds between two keep-alive messages; three unanswered ones end the connection. */
  aliveSeconds: number;
}

/** Returns the name in the generated file; hop 0 is the first machine on the way. */
const aliasOf = (host: ResolvedHost, hop: number) => `${host.name}-hop-${hop}`;

/** Returns a host's name in its {@link sshConfig}. */
export function sshAlias(host: ResolvedHost): string {
  return aliasOf(host, host.proxy_jump.length);
}

/**
 * Makes a ssh_config(5) for one host and all machines on the way, each with its own key or
 * password. ProxyJump would pass one environment to all of them; instead each step is a
 * ProxyCommand with the path of its own password's file.
 */
export function sshConfig(path: string, host: ResolvedHost, settings: SshSettings): string {
  const chain: ResolvedLogin[] = [...host.proxy_jump, host];
  const blocks = chain.map((login, hop) => [
    `Host ${aliasOf(host, hop)}`,
    `  HostName ${quoted(login.host)}`,
    `  Port ${login.port}`,
    `  User ${quoted(login.user)}`,
    ...(login.identity_path === null
      ? ['  PubkeyAuthentication no']
      : [`  IdentityFile ${quoted(percent(login.identity_path))}`]),
    ...(login.password_path === null ? ['  BatchMode yes'] : ['  NumberOfPasswordPrompts 1']),
    ...(hop === 0 ? [] : [`  ProxyCommand ${stepTo(path, host, hop - 1, settings)}`]),
  ]);
  return [
    ...blocks.flat(),
    'Host *',
    // Prefer this to OpenSSH's own choice, ChaCha20: GPU machines have AES in their processors; it
    // needs a third of the time.
    '  Ciphers ^aes128-gcm@openssh.com',
    '  IdentitiesOnly yes',
    '  IdentityAgent none',
    '  PreferredAuthentications publickey,password,keyboard-interactive',
    '  StrictHostKeyChecking yes',
    `  UserKnownHostsFile ${quoted(percent(settings.knownHosts))}`,
    '  GlobalKnownHostsFile /dev/null',
    '  UpdateHostKeys no',
    '  CheckHostIP no',
    '  ForwardAgent no',
    '  ForwardX11 no',
    '  ClearAllForwardings no',
    '  PermitLocalCommand no',
    '  RequestTTY no',
    '  ConnectTimeout 15',
    `  ServerAliveInterval ${settings.aliveSeconds}`,
    '  ServerAliveCountMax 3',
    '',
  ].join('\n');
}

function stepTo(path: string, host: ResolvedHost, hop: number, settings: SshSettings): string {
  const login = host.proxy_jump[hop];
  const environment = Object.entries(passwordEnvironment(login?.password_path ?? null, settings));
  const words = [
    'env',
    '-u',
    'SSH_ASKPASS',
    '-u',
    'SSH_ASKPASS_REQUIRE',
    '-u',
    'JR_SSH_PASSWORD_FILE',
    ...environment.map(([name, value]) => percent(shellQuote(`${name}=${value}`))),
    'ssh',
    '-F',
    percent(shellQuote(path)),
    '-W',
    "'[%h]:%p'",
    aliasOf(host, hop),
  ];
  return words.join(' ');
}

/**
 * Returns the environment that makes ssh ask our program for the password. Empty for a login
 * without one.
 */
export function passwordEnvironment(
  passwordPath: string | null,
  { askpass }: SshSettings,
): Record<string, string> {
  if (passwordPath === null) return {};
  return {
    SSH_ASKPASS: askpass,
    SSH_ASKPASS_REQUIRE: 'force',
    JR_SSH_PASSWORD_FILE: passwordPath,
  };
}

/**
 * Writes the host's configuration, which names programs to run. It has a new, unguessable name each
 * time and is closed to writing. Slurm opens a job's log as our user wherever the API says, and
 * would append to this file.
 * @returns its path
 */
export function writeSshConfig(host: ResolvedHost, settings: SshSettings): { path: string } {
  const path = join(settings.scratch, `${randomBytes(8).toString('hex')}.conf`);
  writeFileSync(path, sshConfig(path, host, settings), { mode: 0o400, flag: 'wx' });
  return { path };
}

/** Quotes an argument of ssh_config(5); none of ours contains a double quote. */
function quoted(text: string): string {
  return `"${text}"`;
}

/** Escapes `%`: ssh replaces %h and the like. */
function percent(text: string): string {
  return text.replaceAll('%', '%%');
}
