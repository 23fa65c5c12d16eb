import { windUp } from './environment.js';

/** What the script returns once it has ended its command for its time; timeout(1) returns the same. */
export const TIMED_OUT = 124;

/** The line on standard error that tells it from a command that returned the same by itself. */
export const timedOutLine = (seconds: number) =>
  `jobrunner: timeout: the command had its ${seconds} s and was ended`;

/** From SIGTERM to SIGKILL, seconds. */
const killAfter = 5;

/**
 * Runs `body` and ends it after so many seconds, as `timeout -k 5` does: SIGTERM to its whole process group, SIGKILL five seconds
 * later to what is left of it. What has left the group goes with the job, as always. Not timeout(1) itself, which would cut the time
 * that Slurm gives a cancelled job to wind up.
 *
 * With `set -m` each of the two has a process group of its own. A trapped signal ends `wait`, so it is called until it was the
 * command that ended it.
 */
export function withTimeout(seconds: number, body: string): string[] {
  return [
    'jr_over= jr_ended= jr_woken=yes',
    // bash itself would print the whole command there when a signal ends it.
    'exec {jr_stderr}>&2 2>/dev/null',
    // Slurm's SIGTERM goes to the command as well, and is waited for.
    "trap 'jr_ended=yes jr_woken=yes' TERM",
    'set -m',
    '(',
    windUp,
    body,
    ') 2>&"$jr_stderr" {jr_stderr}>&- &',
    'jr_command=$!',
    `trap 'jr_over=yes jr_woken=yes; kill -TERM -- "-$jr_command"' ALRM`,
    `( sleep ${seconds}; kill -ALRM $$; sleep ${killAfter}; kill -KILL -- "-$jr_command" ) </dev/null >/dev/null {jr_stderr}>&- &`,
    'jr_clock=$!',
    'disown "$jr_clock"',
    'set +m',
    'while [ "$jr_woken" ]; do jr_woken=; wait "$jr_command"; jr_code=$?; done',
    'trap "" ALRM',
    'kill -KILL -- "-$jr_clock"',
    '[ -z "$jr_over" ] || kill -KILL -- "-$jr_command"',
    'exec 2>&"$jr_stderr" {jr_stderr}>&-',
    'if [ "$jr_over" ]; then',
    `  echo '${timedOutLine(seconds)}' >&2`,
    `  exit ${TIMED_OUT}`,
    'fi',
    '[ -z "$jr_ended" ] || exit 143',
    'exit "$jr_code"',
  ];
}
