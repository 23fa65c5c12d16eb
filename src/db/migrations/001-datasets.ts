export const datasets = `
CREATE TABLE datasets (
  sha256      TEXT PRIMARY KEY,
  name        TEXT NOT NULL,
  format      TEXT NOT NULL,
  size        INTEGER NOT NULL,
  tree_files  INTEGER NOT NULL,
  tree_bytes  INTEGER NOT NULL,
  source      TEXT NOT NULL,
  created_at  INTEGER NOT NULL,
  verified_at INTEGER NOT NULL,
  corrupt     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE dataset_imports (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  uri         TEXT NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('RUNNING', 'COMPLETED', 'FAILED')),
  bytes_done  INTEGER NOT NULL DEFAULT 0,
  bytes_total INTEGER,
  sha256      TEXT,
  error_code  TEXT,
  error       TEXT,
  created_at  INTEGER NOT NULL,
  ended_at    INTEGER
) STRICT;
`;
