import type { Database } from '../db/database.js';
import type { Sha256 } from './digest.js';

/** A stored dataset. Sizes are bytes, times milliseconds since 1970. */
export interface Dataset {
  sha256: Sha256;
  /** The user who stored it first; only they and admins may delete it. */
  owner: string;
  /** The uploader's name for the file, made safe to show; never used as a path. */
  name: string;
  /** The original's format (`tar.gz`, `zip`, `file`, …). */
  format: string;
  /** Bytes of the original. */
  size: number;
  /** Files and links in the tree. */
  files: number;
  /** Bytes of all files in the tree together. */
  bytes: number;
  source: string;
  createdAt: number;
  verifiedAt: number;
  /** True when a stored byte has changed: no job gets the dataset until it is uploaded again. */
  corrupt: boolean;
}

interface Row {
  sha256: string;
  owner: string;
  name: string;
  format: string;
  size: number;
  tree_files: number;
  tree_bytes: number;
  source: string;
  created_at: number;
  verified_at: number;
  corrupt: number;
}

/** Writes a dataset's row, in place of any earlier one. */
export function putDataset(db: Database, dataset: Dataset): void {
  db.prepare(
    `INSERT OR REPLACE INTO datasets
       (sha256, owner, name, format, size, tree_files, tree_bytes, source, created_at, verified_at, corrupt)
     VALUES (@sha256, @owner, @name, @format, @size, @files, @bytes, @source, @createdAt, @verifiedAt, @corrupt)`,
  ).run({ ...dataset, corrupt: dataset.corrupt ? 1 : 0 });
}

export function findDataset(db: Database, sha256: Sha256): Dataset | undefined {
  const row = db.prepare<[string], Row>('SELECT * FROM datasets WHERE sha256 = ?').get(sha256);
  return row && fromRow(row);
}

/** Lists all datasets, newest first. */
export function listDatasets(db: Database): Dataset[] {
  return db
    .prepare<[], Row>('SELECT * FROM datasets ORDER BY created_at DESC, sha256')
    .all()
    .map(fromRow);
}

export function markChecked(db: Database, sha256: Sha256, corrupt: boolean, at: number): void {
  db.prepare('UPDATE datasets SET corrupt = ?, verified_at = ? WHERE sha256 = ?').run(
    corrupt ? 1 : 0,
    at,
    sha256,
  );
}

export function deleteDataset(db: Database, sha256: Sha256): void {
  db.prepare('DELETE FROM datasets WHERE sha256 = ?').run(sha256);
}

function fromRow(row: Row): Dataset {
  return {
    sha256: row.sha256 as Sha256,
    owner: row.owner,
    name: row.name,
    format: row.format,
    size: row.size,
    files: row.tree_files,
    bytes: row.tree_bytes,
    source: row.source,
    createdAt: row.created_at,
    verifiedAt: row.verified_at,
    corrupt: row.corrupt !== 0,
  };
}

/** Sums up the bytes of all datasets, as they were uploaded. */
export function storedBytes(db: Database): number {
  return db
    .prepare<[], number>('SELECT coalesce(sum(size), 0) FROM datasets')
    .pluck()
    .get() as number;
}
