import { z } from 'zod';
import { wordOrNull, type SlurmRecord, type UnreadJob } from '../job-record.js';
import type { PendingJob } from '../pending.js';
import { parseState, type SlurmState } from '../states.js';
import { listIn, readRecord, wordIn, type Kind, type TellUnread } from './read.js';
import { exitCode, names, optionalNumber, text, time, words } from './value.js';

const jobState = words.transform((list, context): SlurmState => {
  try {
    return stateOf(list);
  } catch (error) {
    context.addIssue({ code: 'custom', message: `is unknown (${(error as Error).message})` });
    return z.NEVER;
  }
});

const job = kindOf('job', ['state_reason', 'exit_code', 'submit_time', 'start_time', 'end_time'], {
  job_id: z.number(),
  job_state: jobState,
  state_reason: text,
  exit_code: exitCode,
  submit_time: time,
  start_time: time,
  end_time: time,
  nodes: text,
  comment: text,
});

/**
 * Reads the reply of `GET /slurm/…/jobs`; keeps the jobs that may be that user's.
 * @throws SlurmError
 */
export function parseJobs(reply: unknown, user: string, tell: TellUnread): SlurmRecord[] {
  return listIn('jobs', reply)
    .filter((record) => mayBeOf(user, wordIn(record, 'user_name')))
    .map((record) => {
      const found = readRecord(job, record, tell);
      if (found === undefined) return unread(record, wordIn(record, 'comment'));
      const { job_state: state } = found;
      const nodeList = wordOrNull(found.nodes);
      return {
        slurmJobId: found.job_id,
        state,
        reason: wordOrNull(found.state_reason),
        ...found.exit_code,
        submittedAt: found.submit_time,
        // Slurm gives an expected start for a waiting job, and the end for a job that never ran.
        startedAt: state !== 'PENDING' && nodeList !== null ? found.start_time : null,
        endedAt: found.end_time,
        nodeList,
        comment: found.comment,
      };
    });
}

const pendingJob = kindOf('waiting job', ['priority', 'state_reason'], {
  job_id: z.number(),
  job_state: jobState,
  partition: names,
  priority: optionalNumber,
  state_reason: text,
});

/** Reads the waiting jobs of all users, and skips unreadable ones. @throws SlurmError */
export function parsePendingJobs(reply: unknown, tell: TellUnread): PendingJob[] {
  return listIn('jobs', reply).flatMap((record) => {
    const found = readRecord(pendingJob, record, tell);
    if (found?.job_state !== 'PENDING') return [];
    return {
      slurmJobId: found.job_id,
      partitions: found.partition,
      priority: found.priority ?? 0,
      reason: found.state_reason,
    };
  });
}

const past = kindOf('past job', ['exit_code', 'time'], {
  job_id: z.number(),
  state: z.object({ current: jobState }),
  exit_code: exitCode,
  time: z
    .object({ submission: time, start: time, end: time })
    .default({ submission: null, start: null, end: null }),
  nodes: text,
  comment: z.object({ job: text }),
  working_directory: text,
});

/**
 * Builds the path that lists past jobs.
 * @param since milliseconds since 1970
 */
export function historyPath(since: number): string {
  return `/jobs?start_time=uts${Math.floor(since / 1000)}&skip_steps=true`;
}

/**
 * Reads the reply of `GET /slurmdb/…/jobs`; keeps the jobs that may be that user's.
 * @throws SlurmError
 */
export function parseHistory(reply: unknown, user: string, tell: TellUnread): SlurmRecord[] {
  return listIn('jobs', reply)
    .filter((record) => mayBeOf(user, wordIn(record, 'user')))
    .map((record) => {
      const found = readRecord(past, record, tell);
      if (found === undefined) {
        // Accounting keeps comments only if configured to.
        const comment = wordIn(record, 'comment.job') || undefined;
        return unread(record, comment, wordIn(record, 'working_directory') || undefined);
      }
      const nodeList = wordOrNull(found.nodes);
      return {
        slurmJobId: found.job_id,
        state: found.state.current,
        reason: null,
        ...found.exit_code,
        submittedAt: found.time.submission,
        startedAt: nodeList === null ? null : found.time.start,
        endedAt: found.time.end,
        nodeList,
        comment: found.comment.job,
        ...(found.working_directory !== '' && { workDir: found.working_directory }),
      };
    });
}

/**
 * Tells whether the job may belong to the user. A slurmrestd on a machine without the cluster's
 * users gives no user names (data_parser, `USER_ID` and `JOB_USER`).
 */
function mayBeOf(user: string, told: string | undefined): boolean {
  return told === undefined || told === '' || told === user;
}

function unread(record: unknown, comment?: string, workDir?: string): UnreadJob {
  const number = Number(wordIn(record, 'job_id'));
  return {
    isUnread: true,
    slurmJobId: Number.isInteger(number) ? number : null,
    comment: comment ?? null,
    workDir: workDir ?? null,
  };
}

function kindOf<S extends z.ZodRawShape>(
  kind: string,
  canLack: (string & keyof S)[],
  shape: S,
): Kind<z.output<z.ZodObject<S>>> {
  const schema = z.object(shape) as unknown as z.ZodType<z.output<z.ZodObject<S>>>;
  return { kind, schema, nameIn: 'job_id', canLack };
}

/**
 * Reads a state with its flags. Like squeue, returns a flag if it means that the job may still
 * change.
 */
function stateOf(list: string[]): SlurmState {
  const [base = '', ...flags] = list;
  const live =
    /^(COMPLETING|CONFIGURING|STAGE_OUT|SIGNALING|STOPPED|RESIZING|REQUEUE\w*|SPECIAL_EXIT|EXPEDITING)$/;
  return parseState(flags.find((flag) => live.test(flag)) ?? base);
}
