import { isoTime } from '../iso-time.js';
import type { JobOutputsView, OutputView } from './replies.js';
import type { JobOutputs } from './service.js';
import type { OutputRow } from './store.js';

/** Shows a job's outputs as the API does, also in `GET /jobs/{id}/result`. */
export function viewJobOutputs(found: JobOutputs): JobOutputsView {
  return {
    job_id: found.job.job_id,
    experiment_id: found.job.experiment_id,
    source: found.source ?? null,
    indexed_at: found.indexedAt === undefined ? null : isoTime(found.indexedAt),
    outputs: found.outputs.map(viewOutput),
    warnings: found.warnings,
    indexing: found.indexing,
  };
}

/** Shows an output as the API does. */
export function viewOutput(row: OutputRow): OutputView {
  const query = new URLSearchParams({ job_id: String(row.jobId), rel_path: row.path });
  return {
    output_id: row.outputId,
    job_id: row.jobId,
    experiment_id: row.experimentId,
    path: row.path,
    kind: row.kind,
    type: row.type,
    size: row.size,
    sha256: row.sha256,
    metadata: row.metadata,
    created_at: isoTime(row.modifiedAt),
    download_url: `/outputs/download_by_job?${query.toString()}`,
  };
}
