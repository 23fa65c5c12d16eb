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

/**
 * slurm_errno.h: SLURM_PROTOCOL_AUTHENTICATION_ERROR, and the errors of auth/jwt and slurmrestd.
 */
const notTaken = new Set([1007, 9202, 5005]);
/**
 * SLURMCTLD_COMMUNICATIONS_CONNECTION_ERROR, ESLURM_IN_STANDBY_MODE, ESLURM_DB_CONNECTION: nothing
 * was sent, or nobody accepted it.
 */
const notAsked = new Set([1800, 2029, 7000]);
/**
 * Unknown outcome: lost on the way, timed out, or slurmrestd's code for an error that it cannot
 * name.
 */
const notAnswered = new Set([1801, 1802, 1803, 5004, -1]);
/** ESLURM_REST_EMPTY_RESULT: an empty list. */
const nothingFound = 9003;
/** ESLURM_ACCOUNTING_POLICY, for instance for a full queue. */
const notNow = new Set([2050]);

export const tokenRefused =
  'slurmrestd rejects the token; replace it with a new one (scontrol token) for the right user';

/**
 * Finds the error in a reply.
 * @param body parsed JSON, or text
 * @returns undefined if the reply reports no error
 */
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
      `slurmrestd answers with ${status} (${said || 'no reason'}): slurmctld is down, or slurmrestd rejects the token`,
    );
  return new SlurmError('refused', said || `slurmrestd answers with ${status}`);
}
