import { Router } from 'express';
import { z } from 'zod';
import { callerOf, scopeOf } from '../auth/caller.js';
import { readParams, readQuery } from '../http/read-input.js';
import { sendDownload } from './send-download.js';
import type { OutputService } from './service.js';
import type { OutputRow } from './store.js';
import { isoTime } from '../iso-time.js';

const id = (most: number) =>
  z
    .string({ error: 'expected it once' })
    .min(1, 'is empty')
    .max(most, `expected at most ${most} characters`)
    .refine((value) => !value.includes('\0'), 'holds a NUL byte');

const jobId = z
  .string({ error: 'expected it once' })
  .regex(/^[1-9]\d{0,14}$/, 'expected a job number such as 1')
  .transform(Number);

const byExperimentQuery = z.strictObject({ experiment_id: id(256) });
const byJobParams = z.object({ id: jobId });
const noQuery = z.strictObject({});
const downloadQuery = z.strictObject({ experiment_id: id(256), output_id: id(4096) });
const downloadByJobQuery = z.strictObject({ job_id: jobId, rel_path: id(4096) });

/** `/outputs`: what jobs left, and its download. */
export function outputRoutes(outputs: OutputService): Router {
  const router = Router();

  router.get('/', async (req, res) => {
    const { experiment_id } = readQuery(byExperimentQuery, req);
    const rows = await outputs.byExperiment(experiment_id, scopeOf(callerOf(res)));
    res.json({ experiment_id, outputs: rows.map(outputReply) });
  });

  router.get('/by_job/:id', async (req, res) => {
    readQuery(noQuery, req);
    const { id: job } = readParams(byJobParams, req);
    const found = await outputs.byJob(job, scopeOf(callerOf(res)));
    res.json(jobOutputsReply(found));
  });

  router.get('/download', async (req, res) => {
    const { experiment_id, output_id } = readQuery(downloadQuery, req);
    const scope = scopeOf(callerOf(res));
    await sendDownload(req, res, await outputs.openOutput(experiment_id, output_id, scope));
  });

  router.get('/download_by_job', async (req, res) => {
    const { job_id, rel_path } = readQuery(downloadByJobQuery, req);
    const scope = scopeOf(callerOf(res));
    await sendDownload(req, res, await outputs.openByPath(job_id, rel_path, scope));
  });

  return router;
}

/** A job's outputs as the API shows them; `GET /jobs/{id}/result` shows the same. */
export function jobOutputsReply(found: Awaited<ReturnType<OutputService['byJob']>>) {
  return {
    job_id: found.job.job_id,
    experiment_id: found.job.experiment_id,
    source: found.source ?? null,
    indexed_at: found.indexedAt === undefined ? null : isoTime(found.indexedAt),
    outputs: found.outputs.map(outputReply),
    warnings: found.warnings,
  };
}

function outputReply(row: OutputRow) {
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
