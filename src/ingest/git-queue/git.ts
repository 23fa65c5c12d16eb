import { Readable } from 'node:stream';
import { execa } from 'execa';

/** Maximum time of a git command, and maximum size of its output. */
const timeoutMs = 300_000;
const maxOutputBytes = 64 * 1024 ** 2;

/** A failed git command; the message is git’s own, without credentials. */
export class GitError extends Error {
  override readonly name = 'GitError';
}

/** Git’s output was larger than permitted. */
export class TooLargeError extends GitError {}

/** Git’s whole environment, and settings that override those of files. */
export interface GitSetup {
  env: Readonly<Record<string, string>>;
  config: Readonly<Record<string, string>>;
}

export interface GitCall {
  /** The repository on this machine. */
  gitDir?: string;
  input?: Buffer | AsyncIterable<Buffer>;
  /** Variables of this call alone. */
  env?: Record<string, string>;
  /** Exit codes, besides 0, that are valid answers. */
  answers?: readonly number[];
  maxBytes?: number;
  signal?: AbortSignal | undefined;
}

/**
 * Makes settings that keep a repository from running anything: no hooks, file-system monitor,
 * submodules, signing or pager, and only the named protocols. Git never prompts.
 * @param protocols such as `['https', 'ssh']`
 */
export function safeConfig(protocols: readonly string[]): Record<string, string> {
  return {
    'core.hooksPath': '/dev/null',
    'core.fsmonitor': 'false',
    'core.pager': 'cat',
    'core.quotePath': 'false',
    'advice.detachedHead': 'false',
    'commit.gpgSign': 'false',
    'push.gpgSign': 'false',
    'push.recurseSubmodules': 'no',
    'submodule.recurse': 'false',
    'fetch.recurseSubmodules': 'false',
    'fetch.fsckObjects': 'true',
    // Old trees may have modes that git no longer writes. They do no harm here, and their queue
    // must work.
    'fetch.fsck.zeroPaddedFilemode': 'ignore',
    'http.followRedirects': 'false',
    'gc.autoDetach': 'false',
    'maintenance.autoDetach': 'false',
    'protocol.allow': 'never',
    ...Object.fromEntries(protocols.map((name) => [`protocol.${name}.allow`, 'always'])),
  };
}

/**
 * Runs git once.
 * @returns its standard output and its exit code: 0 or one of `answers`
 * @throws GitError with its standard error
 */
export async function runGit(
  setup: GitSetup,
  args: readonly string[],
  { gitDir, input, env, answers = [], maxBytes = maxOutputBytes, signal }: GitCall = {},
): Promise<{ stdout: Buffer; code: number }> {
  signal?.throwIfAborted();
  const config = Object.entries(setup.config).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ]);
  const where = gitDir === undefined ? [] : [`--git-dir=${gitDir}`];
  const result = await execa('git', [...where, ...config, ...args], {
    env: {
      ...setup.env,
      GIT_TERMINAL_PROMPT: '0',
      GIT_PROTOCOL_FROM_USER: '0',
      GIT_LITERAL_PATHSPECS: '1',
      GIT_OPTIONAL_LOCKS: '0',
      GIT_ADVICE: '0',
      LC_ALL: 'C.UTF-8',
      ...env,
    },
    extendEnv: false,
    cwd: '/',
    encoding: 'buffer',
    reject: false,
    stripFinalNewline: false,
    timeout: timeoutMs,
    maxBuffer: maxBytes,
    ...(input === undefined
      ? { stdin: 'ignore' as const }
      : { input: Buffer.isBuffer(input) ? input : Readable.from(input) }),
    ...(signal && { cancelSignal: signal }),
  });
  signal?.throwIfAborted();
  const code = result.exitCode ?? -1;
  if (code === 0 || answers.includes(code)) {
    const { buffer, byteOffset, byteLength } = result.stdout;
    return { stdout: Buffer.from(buffer, byteOffset, byteLength), code };
  }
  const command = args[0] ?? '';
  if (result.timedOut) throw new GitError(`git ${command} took more than ${timeoutMs / 1000} s`);
  if (result.code === 'ENOENT') throw new GitError('git is not installed: install it');
  if (result.isMaxBuffer)
    throw new TooLargeError(`git ${command}: the output exceeds ${maxBytes} bytes`);
  const said = Buffer.from(result.stderr).toString() || result.shortMessage || '';
  throw new GitError(`git ${command}: ${plainWords(said)}`, {
    cause: new Error(withoutCredentials(said)),
  });
}

/** Removes the user and password of URLs, wherever git repeats them. */
export function withoutCredentials(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/)[^/\s@'"]*@/gi, '$1');
}

/** Extracts the essential part of git’s messages, on one line. */
function plainWords(said: string): string {
  const lines = withoutCredentials(said)
    .replace(/[\0-\x08\x0b-\x1f\x7f]/g, '')
    .split('\n')
    .map((line) => line.trim())
    .filter(
      (line) => line !== '' && !/^(hint|remote: (Enumerating|Counting|Compressing))/.test(line),
    );
  return lines.slice(-6).join('; ').slice(0, 1000);
}
