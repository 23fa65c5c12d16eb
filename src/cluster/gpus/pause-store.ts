import type { Database } from '../../db/database.js';

/** A pause of a GPU: on which node, by whom, why, and since when (milliseconds since 1970). */
export interface GpuPause {
  node: string;
  gpu_index: number;
  reason: string;
  paused_by: string;
  paused_at: number;
}

export function listPauses(db: Database): GpuPause[] {
  return db
    .prepare<[], GpuPause>(
      'SELECT node, gpu_index, reason, paused_by, paused_at FROM gpu_pauses ORDER BY node, gpu_index',
    )
    .all();
}

/** Records a pause, unless the GPU is paused already. */
export function insertPause(db: Database, pause: GpuPause): void {
  db.prepare(
    `INSERT INTO gpu_pauses (node, gpu_index, reason, paused_by, paused_at)
     VALUES (@node, @gpu_index, @reason, @paused_by, @paused_at) ON CONFLICT DO NOTHING`,
  ).run(pause);
}

/** Deletes a pause. @returns false if the GPU was not paused */
export function deletePause(db: Database, node: string, index: number): boolean {
  const { changes } = db
    .prepare('DELETE FROM gpu_pauses WHERE node = ? AND gpu_index = ?')
    .run(node, index);
  return changes === 1;
}
