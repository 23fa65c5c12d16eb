export const jobScripts = `
-- Large, and read alone: in the row of its job, every list of jobs read it too.
CREATE TABLE job_scripts (
  job_id INTEGER PRIMARY KEY REFERENCES jobs (job_id) ON DELETE CASCADE,
  script TEXT NOT NULL
) STRICT;
INSERT INTO job_scripts (job_id, script) SELECT job_id, script FROM jobs;
ALTER TABLE jobs DROP COLUMN script;
`;
