export const auditShares = `
-- Rows of one share push out only each other; see src/auth/audit-shares.ts.
ALTER TABLE audit ADD COLUMN share TEXT NOT NULL DEFAULT '';
-- How often the same was done within a few minutes, and when last; null: at the time of the row.
ALTER TABLE audit ADD COLUMN times INTEGER NOT NULL DEFAULT 1;
ALTER TABLE audit ADD COLUMN last_at INTEGER;
UPDATE audit SET share = CASE
  WHEN user IS NULL THEN 'strangers'
  WHEN status >= 400 THEN 'refused:' || user
  WHEN user = 'admin' THEN 'admin:' || user
  ELSE 'did:' || user END;
CREATE INDEX audit_share ON audit (share, audit_id);
`;
