import { z } from 'zod';
import { SlurmError } from '../command.js';

const found = z.object({
  error: z.string().nullish(),
  description: z.string().nullish(),
  error_number: z.number().nullish(),
  error_code: z.number().nullish(),
  errno: z.number().nullish(),
});
const failedReply = z.object({ errors: z.array(found).nullish() });

/** slurm_errno.h: SLURM_PROTOCOL_AUTHENTICATION_ERROR, and the two of auth/jwt and slurmrestd. */
const notTaken = new Set([1007, 9202, 5005]);
/** SLURMCTLD_COMMUNICATIONS_CONNECTION_ERROR, ESLURM_IN_STANDBY_MODE, ESLURM_DB_CONNECTION: nothing was sent, or nobody took it. */
const notAsked = new Set([1800, 2029, 7000]);
/** What came of it, nobody can tell: lost on the way, timed out, and slurmrestd's word for whatever it did not find out. */
const notAnswered = new Set([1801, 1802, 1803, 5004, -1]);
/** ESLURM_REST_EMPTY_RESULT: a list of nothing. */
const nothingFound = 9003;
/** ESLURM_ACCOUNTING_POLICY, as for a full queue. */
const notNow = new Set([2050]);

export const tokenRefused =
  'slurmrestd does not take the token: put a new one in its place (scontrol token), for the right user';

/** @returns undefined where the reply tells of no error. @param body parsed JSON, or text */
export function errorIn(status: number, body: unknown): SlurmError | undefined {
  const parsed = failedReply.safeParse(body);
  const errors = parsed.success ? (parsed.data.errors ?? []) : [];
  if (status < 400 && errors.length === 0) return undefined;
  if (status === 401 || status === 403) return new SlurmError('unreachable', tokenRefused);
  const numbers = errors.map((one) => one.error_number ?? one.error_code ?? one.errno ?? 0);
  if (numbers.length > 0 && numbers.every((number) => number === nothingFound)) return undefined;
  const said = errors
    .map((one) => [one.description, one.error].filter(Boolean).join(': '))
    .filter((line) => line !== '')
    .join('; ')
    .slice(0, 1000);
  const any = (set: Set<number>) => numbers.some((number) => set.has(number));
  if (any(notTaken)) return new SlurmError('unreachable', tokenRefused);
  if (any(notAsked)) return new SlurmError('unreachable', said);
  if (any(notNow)) return new SlurmError('busy', said);
  if (any(notAnswered) || (errors.length === 0 && status >= 500))
    return new SlurmError(
      'unanswered',
      `slurmrestd answers with ${status} (${said || 'no reason'}): slurmctld is away, or the token is not taken`,
    );
  return new SlurmError('refused', said || `slurmrestd answers with ${status}`);
}
