export const boxGpus = `
-- GPUs of worker boxes on which no job is to start; those of this machine are in gpu_pauses.
CREATE TABLE box_gpu_pauses (
  node      TEXT NOT NULL,
  gpu_index INTEGER NOT NULL,
  reason    TEXT NOT NULL,
  paused_by TEXT NOT NULL,
  paused_at INTEGER NOT NULL,
  PRIMARY KEY (node, gpu_index)
) STRICT, WITHOUT ROWID;
`;
