export const jobUsers = `
-- Which of the Unix users for jobs is whose: number 3 is jr-job3. Never given to another, who would find what is left in its home.
CREATE TABLE job_users (
  user   TEXT PRIMARY KEY,
  number INTEGER NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;
-- The Unix user that the job runs as; null on a site, and for jobs of the time when all ran as runner.
ALTER TABLE jobs ADD COLUMN unix_user TEXT;
`;
