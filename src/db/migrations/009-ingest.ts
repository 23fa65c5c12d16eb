export const ingest = `
-- What this server claimed, or is about to, of the jobs that ingest routes find. Times are milliseconds since 1970.
CREATE TABLE ingest_claims (
  claim_id    INTEGER PRIMARY KEY,
  route       TEXT NOT NULL,
  item        TEXT NOT NULL,
  nonce       TEXT NOT NULL,
  worker      TEXT NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('claiming', 'claimed', 'submitted', 'ended', 'done', 'failed', 'lost')),
  -- Null until its job is written down, in the same transaction. Of a job that was deleted since, the number stays.
  job_id      INTEGER,
  lease_until INTEGER NOT NULL,
  -- The item as its source describes it, in JSON.
  data        TEXT NOT NULL,
  -- Why it never became a job, and whether that is because it was called off.
  error       TEXT,
  cancelled   INTEGER NOT NULL DEFAULT 0 CHECK (cancelled IN (0, 1)),
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  UNIQUE (route, item, nonce)
) STRICT;
CREATE UNIQUE INDEX ingest_claims_live ON ingest_claims (route, item)
  WHERE state IN ('claiming', 'claimed', 'submitted', 'ended');
CREATE INDEX ingest_claims_state ON ingest_claims (route, state, updated_at);

CREATE TABLE ingest_routes (
  route     TEXT PRIMARY KEY,
  paused_by TEXT,
  paused_at INTEGER
) STRICT, WITHOUT ROWID;

-- One row: what tells this server from another of the same host name.
CREATE TABLE ingest_server (
  suffix TEXT NOT NULL
) STRICT;
`;
