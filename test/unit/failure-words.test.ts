import { expect, test } from '@jest/globals';
import type { SlurmJob } from '../../src/cluster/slurm/job-record.js';
import { judge } from '../../src/jobs/failure.js';
import { explainReason } from '../../src/jobs/pending-reason.js';
import { refused, type RefusalReason } from '../../src/storage/confined-fs/refusals.js';

/** A job that failed, as Slurm describes it. */
const job = (fields: Partial<SlurmJob>): SlurmJob => ({
  slurmJobId: 1,
  state: 'FAILED',
  reason: null,
  exitCode: 0,
  signal: 0,
  submittedAt: 1,
  startedAt: 1,
  endedAt: 2,
  nodeList: 'box0',
  comment: 'x',
  ...fields,
});

const overMemory = 'StepId=1.batch exceeded memory limit (430653440 > 104857600)';

test.each([
  [{ exitCode: 3 }, '', 'ended with exit code 3; its log says more'],
  [{ signal: 11 }, '', 'was ended by signal 11; its log says more'],
  [{}, '', 'failed with an exit code that Slurm does not report; its log says more'],
  [
    { signal: 9 },
    overMemory,
    'used 411 MiB of memory, its limit is 100 MiB, and was ended; ask for more mem_gb',
  ],
  [
    { state: 'OUT_OF_MEMORY' },
    '',
    'used more memory than it asked for and was ended; ask for more mem_gb',
  ],
  [{ state: 'TIMEOUT' }, '', 'ran into its time limit and was ended; ask for a longer time_limit'],
  [{ state: 'CANCELLED' }, '', 'was cancelled'],
  [
    { state: 'NODE_FAIL' },
    '',
    'was cut off because its node went down or JobRunner was stopped; rerun it',
  ],
  [
    { state: 'NODE_FAIL', nodeList: 'worker1' },
    '',
    'was cut off because its node worker1 left or is gone; rerun it',
  ],
  [{ startedAt: null, reason: 'BadConstraints' }, '', 'never started: BadConstraints'],
  [{ startedAt: null }, '', 'never started: Slurm gives no reason'],
] as [Partial<SlurmJob>, string, string][])('%j with the log %j: %s', (fields, log, sentence) => {
  expect(judge(job(fields), log)?.message).toBe(sentence);
});

test.each([
  ['Resources', 'waits for CPUs, memory or GPUs that other jobs hold'],
  ['Priority', 'waits behind jobs that come first'],
  ['JobHeldUser', 'is held; release it to let it start'],
  ['ReqNodeNotAvail, UnavailableNodes:box0', 'the node it needs is down, drained or reserved'],
  [
    'Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions',
    'the nodes it could run on are down, drained or reserved',
  ],
  ['AssocGrpJobsLimit', 'waits until fewer of its user’s jobs run'],
  ['AssocGrpGRES', 'waits until its user’s jobs use fewer GPUs'],
  ['SomethingNew', 'see squeue(1), JOB REASON CODES'],
])('Slurm’s %s: %s', (reason, sentence) => {
  expect(explainReason(reason)).toBe(sentence);
});

test.each<[RefusalReason, string]>([
  ['missing', '"x" does not exist'],
  ['leaves_folder', '"x" is a symbolic link that leaves the job’s folder, which is not served'],
  ['link_loop', '"x" is a symbolic link in a circle or in too long a chain'],
  [
    'hard_link',
    '"x" has a second name (a hard link), which is not served; let the job copy it instead',
  ],
  ['not_regular', '"x" is a fifo, socket or device, which is not served'],
  ['closed_by_job', '"x" is closed to the service by the job; let the job run chmod g+rX'],
])('a file that is not served (%s): %s', (reason, sentence) => {
  expect(refused(reason, '"x"').message).toBe(sentence);
});
