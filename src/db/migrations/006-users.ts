export const users = `
-- Who may do what. The hash is HMAC-SHA256 of the token under its own salt; the token itself is nowhere.
CREATE TABLE tokens (
  token_id     INTEGER PRIMARY KEY AUTOINCREMENT,
  user         TEXT NOT NULL,
  role         TEXT NOT NULL CHECK (role IN ('admin', 'user', 'reader')),
  salt         BLOB NOT NULL,
  hash         BLOB NOT NULL,
  created_at   INTEGER NOT NULL,
  created_by   TEXT NOT NULL,
  expires_at   INTEGER,
  revoked_at   INTEGER,
  last_used_at INTEGER
) STRICT;

-- Limits of a user that differ from everybody's; null: as everybody's, 0: none.
CREATE TABLE user_limits (
  user             TEXT PRIMARY KEY,
  max_jobs         INTEGER,
  max_running      INTEGER,
  max_gpus         REAL,
  max_stored_bytes INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  audit_id INTEGER PRIMARY KEY,
  at       INTEGER NOT NULL,
  -- Null for who had no valid token.
  user     TEXT,
  token_id INTEGER,
  address  TEXT NOT NULL,
  method   TEXT NOT NULL,
  path     TEXT NOT NULL,
  -- The HTTP status of the reply.
  status   INTEGER NOT NULL,
  -- What was made or changed, such as "job 12".
  subject  TEXT
) STRICT;
CREATE INDEX audit_user ON audit (user, audit_id);

ALTER TABLE jobs ADD COLUMN user TEXT NOT NULL DEFAULT 'admin';
ALTER TABLE datasets ADD COLUMN owner TEXT NOT NULL DEFAULT 'admin';
ALTER TABLE dataset_imports ADD COLUMN user TEXT NOT NULL DEFAULT 'admin';
CREATE INDEX jobs_user ON jobs (user, job_id);
`;
