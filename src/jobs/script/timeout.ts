import { shellQuote } from './shell-quote.js';

/** Exit code of a script that ended its command at the timeout; timeout(1) returns the same. */
export const TIMED_OUT = 124;

/** Line on standard error that tells a timeout from a command that returned the same code. */
export const timedOutLine = (seconds: number) =>
  `jobrunner: timeout: the command had its ${seconds} s and was ended`;

/** Seconds from SIGTERM to SIGKILL. */
const killAfter = 5;

/** Runs `body` and ends it after so many seconds, see libexec/job-script/timeout.sh. */
export function withTimeout(seconds: number, body: string): string[] {
  return [
    // A function must not be empty, as a template may be.
    'jr_body() { :',
    body,
    // Ends a body whose last line ends with a backslash.
    '',
    '}',
    `jr_run_with_timeout ${seconds} ${killAfter} ${TIMED_OUT} ${shellQuote(timedOutLine(seconds))}`,
  ];
}
