import type { Database } from '../../db/database.js';

/**
 * Figures of one GPU at one time. Load in percent, memory in MiB, temperature in degrees Celsius.
 */
export interface UsageRow {
  at: number;
  memory_mb: number;
  load: number | null;
  temperature: number | null;
}

export function insertUsage(db: Database, index: number, row: UsageRow): void {
  db.prepare(
    `INSERT OR REPLACE INTO gpu_usage (gpu_index, at, memory_mb, load, temperature)
     VALUES (@index, @at, @memory_mb, @load, @temperature)`,
  ).run({ index, ...row });
}

export function deleteUsageBefore(db: Database, at: number): void {
  db.prepare('DELETE FROM gpu_usage WHERE at < ?').run(at);
}

/** Lists the GPU's figures since then, oldest first. */
export function usageSince(db: Database, index: number, since: number): UsageRow[] {
  return db
    .prepare<[number, number], UsageRow>(
      `SELECT at, memory_mb, load, temperature FROM gpu_usage
       WHERE gpu_index = ? AND at >= ? ORDER BY at`,
    )
    .all(index, since);
}

/**
 * Returns the time of the first poll since then, and whether every poll found the GPU idle. An
 * unknown load counts as busy. Returns undefined without a poll.
 */
export function workSince(
  db: Database,
  index: number,
  since: number,
): { firstAt: number; isIdle: boolean } | undefined {
  const row = db
    .prepare<[number, number], { first: number | null; busy: number }>(
      `SELECT min(at) AS first, count(CASE WHEN load = 0 THEN NULL ELSE 1 END) AS busy
       FROM gpu_usage WHERE gpu_index = ? AND at >= ?`,
    )
    .get(index, since);
  if (row === undefined || row.first === null) return undefined;
  return { firstAt: row.first, isIdle: row.busy === 0 };
}
