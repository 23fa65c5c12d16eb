import { isoTime } from '../iso-time.js';
import type { DatasetView } from './replies.js';
import type { Dataset } from './store.js';

/** A dataset as callers see it. */
export function viewDataset(dataset: Dataset): DatasetView {
  const { createdAt, verifiedAt, ...view } = dataset;
  return {
    ...view,
    created_at: isoTime(createdAt),
    verified_at: isoTime(verifiedAt),
  };
}
