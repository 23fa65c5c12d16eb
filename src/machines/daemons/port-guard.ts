import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { locate } from './programs.js';
import { daemonUids, type UnixUsers } from './unix-users.js';
import { sleep } from '../../every.js';

const lookMs = 1000;

export interface PortGuardParts {
  unixUsers: UnixUsers;
  /** Returns the daemons by port. The first port, which no other stack has, names the table. */
  daemons: () => ReadonlyMap<number, string>;
  say: (line: string) => void;
}

/**
 * Keeps all users but the stack's own, and with them jobs, from connecting to the daemons' ports on
 * this machine, with a table of nftables. The table belongs to a process of nft that ends with this
 * one. The kernel removes it then, however the stack ends (nft(8), flags owner).
 */
export class PortGuard {
  readonly #parts: PortGuardParts;
  #table: Table;

  private constructor(parts: PortGuardParts, table: Table) {
    this.#parts = parts;
    this.#table = table;
  }

  /** @returns undefined, after a line that says why, where nftables may not be used */
  static async open(parts: PortGuardParts): Promise<PortGuard | undefined> {
    try {
      return new PortGuard(parts, await Table.make(parts));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      parts.say(`Jobs that hold connections to the daemons are ended; none is refused: ${why}`);
      return undefined;
    }
  }

  /** Follows the ports until `signal` fires, and makes a lost table anew. */
  async keep(signal: AbortSignal): Promise<void> {
    let failing = false;
    while (!signal.aborted) {
      await sleep(lookMs, signal);
      if (signal.aborted || this.#table.guards(this.#parts.daemons())) continue;
      await this.#table.remove();
      try {
        this.#table = await Table.make(this.#parts);
        failing = false;
      } catch (error) {
        if (!failing) this.#parts.say(`the rule on the daemons’ ports is lost: ${String(error)}`);
        failing = true;
      }
    }
  }

  /** Lets everybody connect again. Call this once no job runs any more. */
  remove(): Promise<void> {
    return this.#table.remove();
  }
}

/** A table, and the process of nft that it belongs to. */
class Table {
  readonly #nft: ChildProcessWithoutNullStreams;
  readonly #ports: string;

  private constructor(child: ChildProcessWithoutNullStreams, ports: string) {
    this.#nft = child;
    this.#ports = ports;
  }

  /** @throws Error with nft's own words; ConfigError where nft is not installed */
  static async make({ unixUsers, daemons }: PortGuardParts): Promise<Table> {
    const uids = daemonUids(unixUsers).join(', ');
    const ports = [...daemons().keys()];
    const numbers = ports.join(', ');
    const name = `jobrunner_${ports[0]}`;
    // A closed connection has no user any more, and its last packets pass.
    const rule = `oifname "lo" tcp dport { ${numbers} } meta skuid != { ${uids} } reject with tcp reset`;
    const child = spawn(locate('nft'), ['--interactive'], {
      // It would write a history into its home.
      env: { PATH: '/usr/sbin:/usr/bin', LANG: 'C', HOME: '/nonexistent' },
      cwd: '/',
      // Ctrl-C is for the stack alone, which still stops jobs then.
      detached: true,
    });
    // What ends nft is told by its output and its end.
    child.stdin.on('error', () => undefined);
    const table = new Table(child, numbers);
    try {
      const answered = answerOf(child);
      child.stdin.write(
        `add table inet ${name} { flags owner; }\n` +
          `add chain inet ${name} output { type filter hook output priority filter; }\n` +
          `add rule inet ${name} output ${rule}\n` +
          `list table inet ${name}\n`,
      );
      await answered;
      return table;
    } catch (error) {
      await table.remove();
      throw error;
    }
  }

  guards(daemons: ReadonlyMap<number, string>): boolean {
    const { exitCode, signalCode } = this.#nft;
    return (
      exitCode === null && signalCode === null && this.#ports === [...daemons.keys()].join(', ')
    );
  }

  async remove(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#nft;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    const ended = once(this.#nft, 'exit');
    this.#nft.kill('SIGKILL');
    await ended;
  }
}

/** Waits until nft shows the rule. @throws Error with what nft says instead */
function answerOf(child: ChildProcessWithoutNullStreams): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      // nft writes the numbers in an order of its own.
      if (said.includes('reject with tcp reset')) resolve();
    });
    let refused = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      refused += text;
      reject(new Error(`nft: ${refused.split('\n')[0]}`));
    });
    child.once('error', reject);
    child.once('close', () => reject(new Error('nft ended')));
  });
}
