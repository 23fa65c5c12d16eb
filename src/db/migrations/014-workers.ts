export const workers = `
ALTER TABLE box_jobs RENAME TO worker_jobs;
ALTER TABLE worker_jobs RENAME COLUMN box TO worker;
ALTER TABLE box_gpu_pauses RENAME TO worker_gpu_pauses;
`;
