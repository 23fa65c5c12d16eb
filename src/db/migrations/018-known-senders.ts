export const knownSenders = `
-- Which sender used which valid token: SHA-256 of both, which stand nowhere else.
CREATE TABLE known_senders (
  digest BLOB PRIMARY KEY,
  user   TEXT NOT NULL,
  since  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`;
