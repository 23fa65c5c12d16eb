import type { Database } from '../db/database.js';
import type { FolderIndex, FoundOutput } from './index-folder.js';

/** An indexed output of a job. Times are milliseconds since 1970, sizes bytes. */
export interface OutputRow extends FoundOutput {
  jobId: number;
  experimentId: string;
}

export interface IndexRow {
  jobId: number;
  experimentId: string;
  source: FolderIndex['source'];
  warnings: string[];
  indexedAt: number;
}

interface StoredOutput {
  job_id: number;
  experiment_id: string;
  output_id: string;
  path: string;
  kind: 'file' | 'folder';
  type: string | null;
  size: number;
  sha256: string | null;
  metadata: string;
  fingerprint: string;
  modified_at: number;
}

const selectOutputs = `
  SELECT o.*, i.experiment_id FROM outputs o JOIN output_indexes i USING (job_id)`;

/** Replaces a job's index. The caller owns the transaction. */
export function replaceIndex(db: Database, index: IndexRow, outputs: FoundOutput[]): void {
  db.prepare('DELETE FROM output_indexes WHERE job_id = ?').run(index.jobId);
  db.prepare(
    `INSERT INTO output_indexes (job_id, experiment_id, source, warnings, indexed_at)
     VALUES (?, ?, ?, ?, ?)`,
  ).run(
    index.jobId,
    index.experimentId,
    index.source,
    JSON.stringify(index.warnings),
    index.indexedAt,
  );
  const insert = db.prepare(
    `INSERT INTO outputs (job_id, output_id, position, path, kind, type, size, sha256, metadata,
                          fingerprint, modified_at)
     VALUES (@jobId, @outputId, @position, @path, @kind, @type, @size, @sha256, @metadata,
             @fingerprint, @modifiedAt)`,
  );
  outputs.forEach((o, position) => {
    insert.run({
      ...o,
      jobId: index.jobId,
      position,
      metadata: JSON.stringify(o.metadata),
    });
  });
}

export function findIndex(db: Database, jobId: number): IndexRow | undefined {
  const row = db.prepare('SELECT * FROM output_indexes WHERE job_id = ?').get(jobId) as
    | {
        job_id: number;
        experiment_id: string;
        source: FolderIndex['source'];
        warnings: string;
        indexed_at: number;
      }
    | undefined;
  return (
    row && {
      jobId: row.job_id,
      experimentId: row.experiment_id,
      source: row.source,
      warnings: JSON.parse(row.warnings) as string[],
      indexedAt: row.indexed_at,
    }
  );
}

/** Lists a job's outputs in the manifest's order, or by path without a manifest. */
export function outputsOfJob(db: Database, jobId: number): OutputRow[] {
  return read(db, `${selectOutputs} WHERE job_id = ? ORDER BY position`, jobId);
}

/** Lists an experiment's outputs, newest job first. */
export function outputsOfExperiment(db: Database, experimentId: string): OutputRow[] {
  return read(
    db,
    `${selectOutputs} WHERE experiment_id = ? ORDER BY job_id DESC, position`,
    experimentId,
  );
}

/** Returns the digest computed earlier for the job's file with this fingerprint. */
export function digestOf(db: Database, jobId: number, fingerprint: string): string | undefined {
  const row = db
    .prepare(
      'SELECT sha256 FROM outputs WHERE job_id = ? AND fingerprint = ? AND sha256 IS NOT NULL',
    )
    .get(jobId, fingerprint) as { sha256: string } | undefined;
  return row?.sha256;
}

function read(db: Database, sql: string, ...values: (string | number)[]): OutputRow[] {
  const rows = db.prepare(sql).all(...values) as StoredOutput[];
  return rows.map((row) => ({
    jobId: row.job_id,
    experimentId: row.experiment_id,
    outputId: row.output_id,
    path: row.path,
    kind: row.kind,
    type: row.type,
    size: row.size,
    sha256: row.sha256,
    metadata: JSON.parse(row.metadata) as Record<string, unknown>,
    fingerprint: row.fingerprint,
    modifiedAt: row.modified_at,
  }));
}
