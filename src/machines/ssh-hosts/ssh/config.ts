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
  /** Seconds between two questions whether the other side is there; three without an answer end the connection. */
  aliveSeconds: number;
}

/** The name in the generated file; 0 is the first machine on the way. */
const aliasOf = (host: ResolvedHost, hop: number) => `${host.name}-hop-${hop}`;

/** What a host is called in its {@link sshConfig}. */
export function sshAlias(host: ResolvedHost): string {
  return aliasOf(host, host.proxy_jump.length);
}

/**
 * A ssh_config(5) for one host and all machines on the way, each with its own key or password. In place of ProxyJump, which
 * would hand one environment to all of them, each step is a ProxyCommand that is told its own password's file.
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
    // In front of OpenSSH's own choice, ChaCha20: machines with GPUs have AES in their processors, and that takes two thirds of the time.
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

/** What tells ssh to ask our program, and that one where to look. Empty for a login without a password. */
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
 * Writes the host's configuration, which names programs to run. Each time anew, under a name that nobody can know before, and closed
 * to writing: Slurm opens a job's log as our user wherever the API tells it to, to write behind what is there.
 * @returns its path.
 */
export function writeSshConfig(host: ResolvedHost, settings: SshSettings): { path: string } {
  const path = join(settings.scratch, `${randomBytes(8).toString('hex')}.conf`);
  writeFileSync(path, sshConfig(path, host, settings), { mode: 0o400, flag: 'wx' });
  return { path };
}

/** An argument of ssh_config(5); none of ours holds a double quote. */
function quoted(text: string): string {
  return `"${text}"`;
}

/** ssh replaces %h and the like. */
function percent(text: string): string {
  return text.replaceAll('%', '%%');
}
