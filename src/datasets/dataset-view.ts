import type { Dataset } from './store.js';

/** A dataset as callers see it. */
export function viewDataset(dataset: Dataset) {
  const { sha256, owner, name, format, size, files, bytes, source, corrupt } = dataset;
  return {
    ...{ sha256, name, format, size, files, bytes, source, owner, corrupt },
    created_at: new Date(dataset.createdAt).toISOString(),
    verified_at: new Date(dataset.verifiedAt).toISOString(),
  };
}
