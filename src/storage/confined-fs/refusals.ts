import { AppError, errnoOf } from '../../errors.js';

/** Reason for which a file or folder is not served; found in an error's `details.reason`. */
export type RefusalReason =
  | 'missing'
  | 'leaves_folder'
  | 'link_loop'
  | 'hard_link'
  | 'not_regular'
  | 'closed_by_job'
  | 'busy'
  | 'service_file'
  | 'too_deep'
  | 'too_large'
  | 'bad_name';

const explanations: Record<RefusalReason, string> = {
  missing: 'does not exist',
  leaves_folder: 'is a symbolic link that leaves the job’s folder, which is not served',
  link_loop: 'is a symbolic link in a circle or in too long a chain',
  hard_link: 'has a second name (a hard link), which is not served; let the job copy it instead',
  not_regular: 'is a fifo, socket or device, which is not served',
  closed_by_job: 'is closed to the service by the job; let the job run chmod g+rX',
  busy: 'is locked by a lease of the job; try again when the job has ended',
  service_file: 'belongs to the service and not to the job',
  too_deep: 'lies deeper than the service searches',
  too_large: 'claims to be larger than the service can count',
  bad_name: 'has a name, or is below one, that is not UTF-8 or too long',
};

/** Returns the reason of an error made here; undefined for any other error. */
export function refusalReason(error: unknown): RefusalReason | undefined {
  const reason = error instanceof AppError ? error.details?.['reason'] : undefined;
  return typeof reason === 'string' && reason in explanations
    ? (reason as RefusalReason)
    : undefined;
}

export function refused(reason: RefusalReason, shown: string, cause?: unknown): AppError {
  const code = reason === 'closed_by_job' || reason === 'busy' ? 'conflict' : 'not_found';
  return new AppError(code, `${shown} ${explanations[reason]}`, { cause, details: { reason } });
}

/**
 * Turns a system error about a job's file into the caller's error; others (EMFILE, EIO) stay
 * internal.
 */
export function refusal(error: unknown, shown: string): unknown {
  const reason = reasonOfErrno.get(errnoOf(error) ?? '');
  if (reason === undefined) return error;
  return refused(reason, shown, reason === 'missing' ? undefined : error);
}

const reasonOfErrno = new Map<string, RefusalReason>([
  ['ENOENT', 'missing'],
  ['ENOTDIR', 'missing'],
  // O_NOFOLLOW|O_DIRECTORY met a link, or readlink met something else: the job replaced it just
  // now.
  ['ELOOP', 'missing'],
  ['EINVAL', 'missing'],
  ['EACCES', 'closed_by_job'],
  ['EPERM', 'closed_by_job'],
  ['EAGAIN', 'busy'],
  ['ENAMETOOLONG', 'bad_name'],
  ['ENXIO', 'not_regular'],
  ['ENODEV', 'not_regular'],
]);

/**
 * Makes a hostile name safe for a message: quoted, control characters escaped, cut to 200
 * characters.
 */
export function quote(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
}
