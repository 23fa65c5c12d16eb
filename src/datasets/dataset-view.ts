import type { Dataset } from './store.js';
import { isoTime } from '../iso-time.js';

/** A dataset as callers see it. */
export function viewDataset(dataset: Dataset) {
  const { sha256, owner, name, format, size, files, bytes, source, corrupt } = dataset;
  return {
    sha256,
    name,
    format,
    size,
    files,
    bytes,
    source,
    owner,
    corrupt,
    created_at: isoTime(dataset.createdAt),
    verified_at: isoTime(dataset.verifiedAt),
  };
}
