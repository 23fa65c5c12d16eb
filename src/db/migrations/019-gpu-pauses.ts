export const gpuPauses = `
CREATE TABLE gpu_pauses_of_nodes (
  node      TEXT NOT NULL,
  gpu_index INTEGER NOT NULL,
  reason    TEXT NOT NULL,
  paused_by TEXT NOT NULL,
  paused_at INTEGER NOT NULL,
  PRIMARY KEY (node, gpu_index)
) STRICT, WITHOUT ROWID;
-- This machine's node was and is called box0.
INSERT INTO gpu_pauses_of_nodes
  SELECT 'box0', gpu_index, reason, paused_by, paused_at FROM gpu_pauses
  UNION ALL
  SELECT node, gpu_index, reason, paused_by, paused_at FROM worker_gpu_pauses;
DROP TABLE gpu_pauses;
DROP TABLE worker_gpu_pauses;
ALTER TABLE gpu_pauses_of_nodes RENAME TO gpu_pauses;
`;
