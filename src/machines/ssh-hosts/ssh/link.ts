import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { errnoOf } from '../../../errors.js';
import type { ResolvedHost } from '../../../cluster/ssh-hosts/resolved-hosts.js';
import { passwordEnvironment, sshAlias, writeSshConfig, type SshSettings } from './config.js';
import { SshError, sshError } from './errors.js';
import { readFacts, type HostFacts } from './facts.js';
import { afterMark, hostProgram } from './program.js';

/** The bytes of standard error to keep for the message. */
const keptWords = 16 * 1024;
/** Limit of a plain answer; the lists of a host's jobs and of a job's outputs may be longer. */
const maxBytes = 2 ** 20;
/** Room for paths, a name and a line of df. */
const maxFactBytes = 64 * 1024;
/**
 * ConnectTimeout ends with the other side's first words, and its keep-alive begins with the
 * session.
 */
const connectMs = 90_000;

export interface CallOptions {
  input?: Buffer | Readable;
  /** More output ends the call: no host may fill our memory. */
  maxBytes?: number;
  /** Takes the output as it comes, without limit; the next chunk waits until it is done. */
  onOutput?: (chunk: Buffer) => void | Promise<void>;
  /** Takes standard error as it comes, without ssh's own messages. */
  onError?: (chunk: Buffer) => void | Promise<void>;
  /** Ends the call, which rejects with the signal's reason. The program there continues. */
  signal?: AbortSignal;
}

/** A connection to an SSH host, over which its programs are called. */
export class Link {
  readonly #settings: SshSettings;
  readonly #config: string;
  readonly #socket: string;
  readonly #master: ChildProcess;

  private constructor(
    readonly host: ResolvedHost,
    readonly facts: HostFacts,
    settings: SshSettings,
    config: string,
    socket: string,
    master: ChildProcess,
  ) {
    this.#settings = settings;
    this.#config = config;
    this.#socket = socket;
    this.#master = master;
  }

  /**
   * Connects (a ControlMaster, see ssh_config(5)) and makes a missing working folder there. The
   * connection ends with this process, however that ends: the program there waits for the end of
   * our standard input.
   * @throws SshError
   */
  static async connect(
    host: ResolvedHost,
    settings: SshSettings,
    signal?: AbortSignal,
  ): Promise<Link> {
    const { path: config } = writeSshConfig(host, settings);
    // ssh adds 17 characters while it makes the socket, and a socket's path has 107 bytes
    // (unix(7)).
    const socket = join(settings.scratch, randomBytes(2).toString('hex'));
    const master = start(
      host,
      settings,
      ['-F', config, '-M', '-S', socket],
      ['hold', host.workdir],
    );
    const stop = () => master.child.kill('SIGKILL');
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted === true) stop();
    const timer = setTimeout(stop, connectMs);
    try {
      let said = Buffer.alloc(0);
      let facts: HostFacts | undefined;
      for await (const chunk of afterMark(master.child.stdout, master.mark)) {
        said = Buffer.concat([said, chunk]);
        facts = readFacts(said);
        if (facts !== undefined || said.length > maxFactBytes) break;
      }
      if (facts !== undefined) {
        // The next call notices a break.
        master.ended.catch(() => undefined);
        return new Link(host, facts, settings, config, socket, master.child);
      }
      if (said.length <= maxFactBytes) await master.ended;
      throw new SshError('other', `SSH host ${host.name}: its first answer cannot be understood`);
    } catch (error) {
      master.child.kill('SIGKILL');
      for (const path of [socket, config]) rmSync(path, { force: true });
      signal?.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
    }
  }

  get isBroken(): boolean {
    return this.#master.exitCode !== null || this.#master.signalCode !== null;
  }

  /** Ends the connection, and all calls over it. */
  close(): void {
    this.#master.kill('SIGTERM');
    for (const path of [this.#socket, this.#config]) rmSync(path, { force: true });
  }

  /**
   * Calls a function of libexec/ssh-host.sh there.
   * @returns its output, unless `onOutput` took it
   * @throws SshError
   */
  async call(args: readonly string[], options: CallOptions = {}): Promise<Buffer> {
    const { onOutput, onError, signal, maxBytes: limit = maxBytes } = options;
    signal?.throwIfAborted();
    const quiet = onError === undefined ? [] : ['-o', 'LogLevel=QUIET'];
    const call = start(
      this.host,
      this.#settings,
      ['-F', this.#config, '-o', 'ControlMaster=no', '-S', this.#socket, ...quiet],
      args,
      options,
    );
    const stop = () => {
      // The master also holds the child's ends of our pipes, and does not close them when the child
      // is killed.
      call.child.kill('SIGKILL');
      call.child.stdout.destroy();
      call.child.stderr.destroy();
    };
    signal?.addEventListener('abort', stop, { once: true });
    const printed: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const chunk of afterMark(call.child.stdout, call.mark)) {
        if (onOutput === undefined) printed.push(chunk);
        else await onOutput(chunk);
        bytes += chunk.length;
        if (onOutput === undefined && bytes > limit)
          throw new SshError(
            'other',
            `SSH host ${this.host.name}: its answer has no end (more than ${limit} bytes to "${args[0] ?? ''}")`,
          );
      }
      await call.ended;
      return Buffer.concat(printed);
    } catch (error) {
      stop();
      await call.ended.catch(() => undefined);
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }
}

/** Starts ssh and the program. `ended` rejects with an SshError, or with an error of `onError`. */
function start(
  host: ResolvedHost,
  settings: SshSettings,
  options: string[],
  args: readonly string[],
  { input, onError }: CallOptions = {},
) {
  const program = hostProgram(args);
  const child = spawn('ssh', [...options, sshAlias(host), program.command], {
    env: {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      LC_ALL: 'C',
      SHELL: '/bin/sh',
      ...passwordEnvironment(host.password_path, settings),
    },
    cwd: '/',
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const exited = new Promise<number | null>((fulfil, reject) => {
    child.once('error', reject);
    child.once('close', fulfil);
  });
  exited.catch(() => undefined);
  // `hold` learns of our end by the end of its input.
  const isHeld = args[0] === 'hold';
  const fed = feed(child.stdin, program.text, input, !isHeld);
  fed.catch(() => undefined);
  const heard = listen(child.stderr, program.mark, onError);
  heard.catch(() => undefined);
  const ended = (async () => {
    const code = await exited;
    const said = await heard;
    if (code !== 0) throw sshError(host, code, said);
    // The program need not read all its input.
    await fed.catch((error: unknown) => {
      if (errnoOf(error) !== 'EPIPE' && errnoOf(error) !== 'ERR_STREAM_PREMATURE_CLOSE')
        throw error;
    });
  })();
  ended.catch(() => undefined);
  return { child, mark: program.mark, ended };
}

async function feed(
  stdin: Writable,
  text: Buffer,
  input: Buffer | Readable | undefined,
  end: boolean,
): Promise<void> {
  stdin.on('error', () => undefined);
  stdin.write(text);
  if (!end) return;
  if (input === undefined || Buffer.isBuffer(input)) {
    await new Promise<void>((fulfil, reject) => {
      stdin.once('error', reject);
      stdin.end(input ?? Buffer.alloc(0), () => {
        fulfil();
      });
    });
  } else await pipeline(input, stdin);
}

/** Listens to standard error. @returns the last of it, for a message */
async function listen(
  stream: Readable,
  mark: string,
  onError: CallOptions['onError'],
): Promise<string> {
  let said = '';
  const keep = (chunk: Buffer) => {
    said = (said + chunk.toString('latin1')).slice(-keptWords);
  };
  for await (const chunk of afterMark(stream, mark, keep)) {
    if (onError === undefined) keep(chunk);
    else await onError(chunk);
  }
  return said;
}
