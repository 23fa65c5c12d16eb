import { join } from 'node:path';
import { screenNameTail } from '../screens.js';
import { shellQuote } from './shell-quote.js';
import { failFunction, windUp } from './environment.js';
import type { ScriptParts } from './parts.js';

/** screen(1). The log is written as the output comes, not every ten seconds. */
const settings = [
  'startup_message off',
  'logfile flush 0',
  'term screen-256color',
  'defutf8 on',
  'defscrollback 10000',
  'deflogin off',
  'vbell off',
];

/**
 * Runs `body` in a GNU screen session and waits for it. With `-D -m` screen stays a child of this script, where Slurm
 * counts its memory and finds it to kill it. What the session's terminal shows goes into the job's log.
 *
 * Slurm's SIGTERM would end screen, and take the terminal from a command that is still winding up: screen is started with
 * that signal blocked, which its window inherits until perl (always there in Debian) lifts it again.
 */
export function inScreen(parts: ScriptParts, body: string): string[] {
  const { request, jobId, screenDir, logDir } = parts;
  const file = (name: string) => shellQuote(join(logDir, name));
  const [rc, job, status] = [file('screen.rc'), file('screen-job.sh'), file('screen-status')];
  return [
    failFunction,
    `export SCREENDIR=${shellQuote(screenDir)}`,
    `jr_name=gpujob_\${SLURM_JOB_GPUS:-cpu}${shellQuote(screenNameTail(request, jobId))}`,
    'jr_screen=$(type -P screen) || jr_fail "screen: GNU screen is not in PATH ($PATH); install it (apt-get install screen) or submit without screen"',
    // A socket's path has 107 bytes (unix(7)); in front of the name stand a number of up to seven digits and a dot.
    '((${#SCREENDIR} + ${#jr_name} + 9 <= 107)) || jr_fail "screen: $SCREENDIR/$jr_name is too long for a socket; use a shorter JR_ROOT"',
    `printf '%s\\n' ${settings.map(shellQuote).join(' ')} >${rc}`,
    `printf '%s\\n' ${shellQuote(`${windUp}\n${body}`)} >${job}`,
    `rm -f -- ${status}`,
    `/usr/bin/env --block-signal=TERM "$jr_screen" -D -m -c ${rc} -S "$jr_name" -L -Logfile "/proc/$$/fd/1" \\`,
    "  /usr/bin/perl -MPOSIX -e 'sigprocmask(SIG_SETMASK, POSIX::SigSet->new); exec @ARGV or die $!' \\",
    // Lives on through what ends the command, to tell how it ended.
    `  /bin/bash -c 'trap : INT QUIT TERM HUP; /bin/bash "$1"; echo $? >"$2"' bash ${job} ${status} </dev/null`,
    'jr_code=$?',
    `if [ -s ${status} ] && read -r jr_code <${status} && [[ $jr_code =~ ^[0-9]{1,3}$ ]]; then exit "$jr_code"; fi`,
    `printf 'jobrunner: screen: the session ended without its command: somebody quit or killed it, or it did not start (%s)\\n' "$jr_code" >&2`,
    'exit 1',
  ];
}
