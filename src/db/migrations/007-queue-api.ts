export const queueApi = `
-- Jobs that came through the queue server's API, by the number that it gives them.
CREATE TABLE queue_jobs (
  uuid           TEXT PRIMARY KEY,
  job_id         INTEGER NOT NULL UNIQUE REFERENCES jobs (job_id) ON DELETE CASCADE,
  competition_id TEXT NOT NULL,
  project_id     TEXT NOT NULL,
  -- Seconds, as the user said.
  expected_time  REAL NOT NULL
) STRICT, WITHOUT ROWID;
`;
