import { shellQuote } from './shell-quote.js';

/**
 * The script's exit code once it has ended its command for its time; timeout(1) returns the same.
 */
export const TIMED_OUT = 124;

/** The line on standard error that tells it from a command that returned the same by itself. */
export const timedOutLine = (seconds: number) =>
  `jobrunner: timeout: the command had its ${seconds} s and was ended`;

/** From SIGTERM to SIGKILL, seconds. */
const killAfter = 5;

/** Runs `body` and ends it after so many seconds, see libexec/job-script/timeout.sh. */
export function withTimeout(seconds: number, body: string): string[] {
  return [
    // A function must not be empty, as a template may be.
    'jr_body() { :',
    body,
    '}',
    `jr_run_with_timeout ${seconds} ${killAfter} ${TIMED_OUT} ${shellQuote(timedOutLine(seconds))}`,
  ];
}
