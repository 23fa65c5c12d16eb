import type { Database } from '../../db/database.js';
import type { Pause } from '../gpus/store.js';

/** A pause of a worker's GPU. */
export interface WorkerPause extends Pause {
  node: string;
}

export function listWorkerPauses(db: Database): WorkerPause[] {
  return db
    .prepare<[], WorkerPause>(
      'SELECT node, gpu_index, reason, paused_by, paused_at FROM worker_gpu_pauses ORDER BY node, gpu_index',
    )
    .all();
}

/** Records a pause. @returns false if the GPU was paused already */
export function insertWorkerPause(db: Database, pause: WorkerPause): boolean {
  const { changes } = db
    .prepare(
      `INSERT INTO worker_gpu_pauses (node, gpu_index, reason, paused_by, paused_at)
       VALUES (@node, @gpu_index, @reason, @paused_by, @paused_at) ON CONFLICT DO NOTHING`,
    )
    .run(pause);
  return changes === 1;
}

/** Deletes a pause. @returns false if the GPU was not paused */
export function deleteWorkerPause(db: Database, node: string, index: number): boolean {
  const { changes } = db
    .prepare('DELETE FROM worker_gpu_pauses WHERE node = ? AND gpu_index = ?')
    .run(node, index);
  return changes === 1;
}
