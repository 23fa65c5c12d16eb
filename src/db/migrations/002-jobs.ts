export const jobs = `
CREATE TABLE jobs (
  job_id          INTEGER PRIMARY KEY AUTOINCREMENT,
  slurm_job_id    INTEGER,
  comment         TEXT NOT NULL UNIQUE,
  command_key     TEXT NOT NULL,
  experiment_id   TEXT NOT NULL,
  name            TEXT NOT NULL,
  dataset_sha     TEXT,
  request         TEXT NOT NULL,
  script          TEXT NOT NULL,
  state           TEXT NOT NULL,
  terminal        INTEGER NOT NULL DEFAULT 0,
  reason          TEXT,
  exit_code       INTEGER,
  signal          INTEGER,
  failure         TEXT,
  message         TEXT,
  node_list       TEXT,
  submitted_at    INTEGER NOT NULL,
  started_at      INTEGER,
  ended_at        INTEGER,
  idempotency_key TEXT UNIQUE,
  request_hash    TEXT
) STRICT;

CREATE INDEX jobs_live ON jobs (job_id) WHERE terminal = 0;
CREATE INDEX jobs_experiment ON jobs (experiment_id);
CREATE INDEX jobs_dataset ON jobs (dataset_sha);
`;
