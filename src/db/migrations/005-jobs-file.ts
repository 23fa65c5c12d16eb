export const jobsFile = `
-- Lines of the jobs file that became jobs. nth counts equal lines, from 1; the key is the idempotency key of the job;
-- job_id is null while the line is being submitted; gone_at is when it was first missed in the file.
CREATE TABLE jobs_file_lines (
  path    TEXT NOT NULL,
  digest  TEXT NOT NULL,
  nth     INTEGER NOT NULL,
  key     TEXT NOT NULL,
  job_id  INTEGER,
  gone_at INTEGER,
  PRIMARY KEY (path, digest, nth)
) STRICT, WITHOUT ROWID;
`;
