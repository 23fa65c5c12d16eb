export const outputs = `
CREATE TABLE output_indexes (
  job_id        INTEGER PRIMARY KEY REFERENCES jobs (job_id) ON DELETE CASCADE,
  experiment_id TEXT NOT NULL,
  source        TEXT NOT NULL CHECK (source IN ('manifest', 'extensions')),
  warnings      TEXT NOT NULL,
  indexed_at    INTEGER NOT NULL
) STRICT;

CREATE INDEX output_indexes_experiment ON output_indexes (experiment_id, job_id);

CREATE TABLE outputs (
  job_id      INTEGER NOT NULL REFERENCES output_indexes (job_id) ON DELETE CASCADE,
  output_id   TEXT NOT NULL,
  position    INTEGER NOT NULL,
  path        TEXT NOT NULL,
  kind        TEXT NOT NULL CHECK (kind IN ('file', 'folder')),
  type        TEXT,
  size        INTEGER NOT NULL,
  sha256      TEXT,
  metadata    TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  modified_at INTEGER NOT NULL,
  PRIMARY KEY (job_id, output_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX outputs_fingerprint ON outputs (job_id, fingerprint);
`;
