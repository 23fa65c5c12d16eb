export const boxes = `
-- Jobs that worker boxes have taken up; the outputs of each are on their way until they are delivered.
CREATE TABLE box_jobs (
  job_id    INTEGER PRIMARY KEY REFERENCES jobs (job_id) ON DELETE CASCADE,
  box       TEXT NOT NULL,
  -- Whether Slurm was seen to have it started there: then, waiting again, it was queued again.
  started   INTEGER NOT NULL CHECK (started IN (0, 1)),
  delivered INTEGER NOT NULL CHECK (delivered IN (0, 1))
) STRICT;
`;
