import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../until.js';

/**
 * `sh`: does once what the order says for the command that it names, and is else the command
 * itself. Run by the API, whose process is its parent.
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
 * A fake for faults that the real thing will not produce on demand: stands before Slurm's commands,
 * in the mount namespace of one stack, and ends the API or lets it wait right before or after one
 * of them, or says at once that nobody answers, and runs it later. The commands themselves are the
 * real ones.
 */
export class CommandGate {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async make(): Promise<CommandGate> {
    const folder = await mkdtemp(join(tmpdir(), 'jr-gate-'));
    // The API's user takes the order away.
    await chmod(folder, 0o777);
    await mkdir(join(folder, 'bin'));
    await writeFile(join(folder, 'wrapper'), wrapper(folder));
    await chmod(join(folder, 'wrapper'), 0o755);
    return new CommandGate(folder);
  }

  /** What starts a stack behind the gate. */
  get through(): string[] {
    const script = [
      'set -e',
      `mount --bind /usr/bin ${this.#folder}/bin`,
      `for name in scontrol scancel sudo; do mount --bind ${this.#folder}/wrapper /usr/bin/$name; done`,
      'exec "$@"',
    ];
    return ['unshare', '--mount', 'sh', '-c', script.join('\n'), 'sh'];
  }

  /** @param pattern of the command's name and arguments, as `case` in sh takes it */
  async order(
    what: 'kill-before' | 'kill-after' | 'wait-before' | 'lose-answer',
    pattern: string,
  ): Promise<void> {
    await rm(join(this.#folder, 'taken'), { force: true });
    await rm(join(this.#folder, 'open'), { force: true });
    // At once whole.
    await writeFile(join(this.#folder, 'order.new'), `${what} ${pattern}\n`);
    await chmod(join(this.#folder, 'order.new'), 0o644);
    await rename(join(this.#folder, 'order.new'), join(this.#folder, 'order'));
  }

  /** The command came. */
  async taken(): Promise<void> {
    await until('the command is run', () => existsSync(join(this.#folder, 'taken')));
  }

  /** Lets the one go on that waits or comes late. */
  async open(): Promise<void> {
    await writeFile(join(this.#folder, 'open'), '');
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true });
  }
}
