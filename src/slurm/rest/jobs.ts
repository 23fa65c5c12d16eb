import { z } from 'zod';
import { wordOrNull, type SlurmJob } from '../job-record.js';
import type { PendingJob } from '../pending.js';
import { parseState, type SlurmState } from '../states.js';
import { exitCode, optionalNumber, text, time, words } from './value.js';

const job = z.object({
  job_id: z.number(),
  job_state: words,
  state_reason: text,
  exit_code: exitCode,
  submit_time: time,
  start_time: time,
  end_time: time,
  nodes: text,
  comment: text,
  user_name: text,
  partition: text,
  priority: optionalNumber,
});
const jobsReply = z.object({ jobs: z.array(job) });

/** Reads the reply of `GET /slurm/…/jobs`; of all users' jobs, those of that one. @throws ZodError */
export function parseJobs(reply: unknown, user: string): SlurmJob[] {
  return jobsReply
    .parse(reply)
    .jobs.filter((found) => found.user_name === user)
    .map((found) => {
      const state = stateOf(found.job_state);
      const nodeList = wordOrNull(found.nodes);
      return {
        slurmJobId: found.job_id,
        state,
        reason: wordOrNull(found.state_reason),
        ...found.exit_code,
        submittedAt: found.submit_time,
        // For a waiting job Slurm says when it expects this to be, for one that never ran when it was ended.
        startedAt: state !== 'PENDING' && nodeList !== null ? found.start_time : null,
        endedAt: found.end_time,
        nodeList,
        comment: found.comment,
      };
    });
}

/** Those that wait, everybody's. @throws ZodError */
export function parsePendingJobs(reply: unknown): PendingJob[] {
  return jobsReply
    .parse(reply)
    .jobs.filter((found) => stateOf(found.job_state) === 'PENDING')
    .map((found) => ({
      slurmJobId: found.job_id,
      partitions: found.partition.split(','),
      priority: found.priority ?? 0,
      reason: found.state_reason,
    }));
}

const past = z.object({
  job_id: z.number(),
  state: z.object({ current: words }),
  exit_code: exitCode,
  time: z.object({ submission: time, start: time, end: time }),
  nodes: text,
  comment: z.object({ job: text }),
  user: text,
  working_directory: text,
});
const historyReply = z.object({ jobs: z.array(past) });

/** @param since milliseconds since 1970 */
export function historyPath(since: number): string {
  return `/jobs?start_time=uts${Math.floor(since / 1000)}&skip_steps=true`;
}

/** Reads the reply of `GET /slurmdb/…/jobs`; of all users' jobs, those of that one. @throws ZodError */
export function parseHistory(reply: unknown, user: string): SlurmJob[] {
  return historyReply
    .parse(reply)
    .jobs.filter((found) => found.user === user)
    .map((found) => {
      const nodeList = wordOrNull(found.nodes);
      return {
        slurmJobId: found.job_id,
        state: stateOf(found.state.current),
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

/** A state comes with its flags: where one of them means that the job may still change, squeue prints that one. */
function stateOf(list: string[]): SlurmState {
  const [base = '', ...flags] = list;
  const live =
    /^(COMPLETING|CONFIGURING|STAGE_OUT|SIGNALING|STOPPED|RESIZING|REQUEUE\w*|SPECIAL_EXIT)$/;
  return parseState(flags.find((flag) => live.test(flag)) ?? base);
}
