export const diskUse = `
-- Bytes on the disk of each job's folders, as last measured; log_bytes are those of its log alone.
CREATE TABLE job_disk_use (
  job_id    INTEGER PRIMARY KEY REFERENCES jobs (job_id) ON DELETE CASCADE,
  user      TEXT NOT NULL,
  bytes     INTEGER NOT NULL,
  log_bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX job_disk_use_user ON job_disk_use (user, bytes);

-- Why JobRunner itself ended a job; Slurm only says that it was cancelled.
CREATE TABLE job_stops (
  job_id  INTEGER PRIMARY KEY REFERENCES jobs (job_id) ON DELETE CASCADE,
  failure TEXT NOT NULL,
  message TEXT NOT NULL
) STRICT;

-- Filled and emptied to keep free pages in the file; see src/db/room.ts.
CREATE TABLE room (bytes BLOB NOT NULL) STRICT;
`;
