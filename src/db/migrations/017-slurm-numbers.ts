export const slurmNumbers = `
-- Of several live jobs with one number of Slurm's, the newest got it last; Slurm has lost the others.
UPDATE jobs SET
  state = 'NODE_FAIL', terminal = 1, failure = 'node', ended_at = unixepoch() * 1000,
  message = 'Slurm gave its number to another job, so it has lost this one; rerun it'
WHERE terminal = 0 AND EXISTS (
  SELECT 1 FROM jobs newer
  WHERE newer.slurm_job_id = jobs.slurm_job_id AND newer.terminal = 0 AND newer.job_id > jobs.job_id
);
CREATE UNIQUE INDEX jobs_live_number ON jobs (slurm_job_id) WHERE terminal = 0;
`;
