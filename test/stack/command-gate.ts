import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../until.js';

/**
 * A script of `sh`: carries out the order once, for the command that the order names, and otherwise
 * runs the command itself. The API runs it and is its parent.
 */
const wrapper = (folder: string) => `#!/bin/sh
gate=${folder}
real=$gate/bin/\${0##*/}
if [ -e $gate/order ]; then
  read -r what pattern <$gate/order
  case "\${0##*/} $*" in
  $pattern)
    mv $gate/order $gate/taken
    case $what in
    kill-before) kill -KILL $PPID; exit 1 ;;
    kill-after) "$real" "$@" >/dev/null; kill -KILL $PPID; exit 1 ;;
    wait-before) until [ -e $gate/open ]; do sleep 0.02; done ;;
    lose-answer)
      exec 3<&0
      (until [ -e $gate/open ]; do [ -e $gate/wrapper ] || exit; sleep 0.02; done; exec "$real" "$@" <&3) >/dev/null 2>&1 &
      echo "\${0##*/}: error: Socket timed out on send/recv operation" >&2
      exit 1 ;;
    esac ;;
  esac
fi
exec "$real" "$@"
`;

/**
 * A fake for faults that the real Slurm does not produce on demand. It stands in front of Slurm's
 * commands, in the mount namespace of one stack. Right before or after a command it kills the API
 * or makes it wait. Or it reports at once that nobody answers, and runs the command later. The
 * commands themselves are real.
 */
export class CommandGate {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async make(): Promise<CommandGate> {
    const folder = await mkdtemp(join(tmpdir(), 'jr-gate-'));
    // The API's user moves the order away.
    await chmod(folder, 0o777);
    await mkdir(join(folder, 'bin'));
    await writeFile(join(folder, 'wrapper'), wrapper(folder));
    await chmod(join(folder, 'wrapper'), 0o755);
    return new CommandGate(folder);
  }

  /** The command that starts a stack behind the gate. */
  get through(): string[] {
    const script = [
      'set -e',
      `mount --bind /usr/bin ${this.#folder}/bin`,
      `for name in scontrol scancel sudo; do mount --bind ${this.#folder}/wrapper /usr/bin/$name; done`,
      'exec "$@"',
    ];
    return ['unshare', '--mount', 'sh', '-c', script.join('\n'), 'sh'];
  }

  /** @param pattern for the command's name and arguments, as in sh's `case` */
  async order(
    what: 'kill-before' | 'kill-after' | 'wait-before' | 'lose-answer',
    pattern: string,
  ): Promise<void> {
    await rm(join(this.#folder, 'taken'), { force: true });
    await rm(join(this.#folder, 'open'), { force: true });
    // Written in one step.
    await writeFile(join(this.#folder, 'order.new'), `${what} ${pattern}\n`);
    await chmod(join(this.#folder, 'order.new'), 0o644);
    await rename(join(this.#folder, 'order.new'), join(this.#folder, 'order'));
  }

  /** Resolves once the command is called. */
  async taken(): Promise<void> {
    await until('the command is run', () => existsSync(join(this.#folder, 'taken')));
  }

  /** Releases the waiting or delayed command. */
  async open(): Promise<void> {
    await writeFile(join(this.#folder, 'open'), '');
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true });
  }
}
