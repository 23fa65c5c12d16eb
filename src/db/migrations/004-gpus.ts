export const gpus = `
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 100;
-- What Slurm is asked for, such as shard:nvidia2:60 or shard:50; null for a job without GPUs.
ALTER TABLE jobs ADD COLUMN gres TEXT;
-- The indices of the GPUs it was given, as JSON; null until it starts.
ALTER TABLE jobs ADD COLUMN gpu_indices TEXT;
-- What is odd about a running job, such as an idle GPU.
ALTER TABLE jobs ADD COLUMN warning TEXT;
-- Equal for jobs that would do the same.
ALTER TABLE jobs ADD COLUMN dedup_hash TEXT;
-- Refusals to come back from, and when to try again.
ALTER TABLE jobs ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN next_attempt_at INTEGER;
-- Slurm's number of the job that this one takes the place of, to be cancelled first, and that job's priority in Slurm.
ALTER TABLE jobs ADD COLUMN moved_from INTEGER;
ALTER TABLE jobs ADD COLUMN slurm_priority INTEGER;
CREATE INDEX jobs_dedup ON jobs (dedup_hash) WHERE dedup_hash IS NOT NULL;

-- GPUs that nobody is to start on until they are resumed.
CREATE TABLE gpu_pauses (
  gpu_index INTEGER PRIMARY KEY,
  reason    TEXT NOT NULL,
  paused_by TEXT NOT NULL,
  paused_at INTEGER NOT NULL
) STRICT;

-- What nvidia-smi said, kept for a day. Load in percent, memory in MiB.
CREATE TABLE gpu_usage (
  gpu_index   INTEGER NOT NULL,
  at          INTEGER NOT NULL,
  memory_mb   INTEGER NOT NULL,
  load        INTEGER,
  temperature INTEGER,
  PRIMARY KEY (gpu_index, at)
) STRICT, WITHOUT ROWID;
`;
