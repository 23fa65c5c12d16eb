import type { Database } from '../../db/database.js';
import type { Pause } from '../gpus/store.js';

/** Who keeps jobs off a GPU of a box. */
export interface BoxPause extends Pause {
  node: string;
}

export function listBoxPauses(db: Database): BoxPause[] {
  return db
    .prepare<[], BoxPause>(
      'SELECT node, gpu_index, reason, paused_by, paused_at FROM box_gpu_pauses ORDER BY node, gpu_index',
    )
    .all();
}

/** @returns false when it was paused already. */
export function insertBoxPause(db: Database, pause: BoxPause): boolean {
  const { changes } = db
    .prepare(
      `INSERT INTO box_gpu_pauses (node, gpu_index, reason, paused_by, paused_at)
       VALUES (@node, @gpu_index, @reason, @paused_by, @paused_at) ON CONFLICT DO NOTHING`,
    )
    .run(pause);
  return changes === 1;
}

/** @returns false when it was not paused. */
export function deleteBoxPause(db: Database, node: string, index: number): boolean {
  const { changes } = db
    .prepare('DELETE FROM box_gpu_pauses WHERE node = ? AND gpu_index = ?')
    .run(node, index);
  return changes === 1;
}
