import { DiskWatch } from '../cluster/nodes/disk-watch.js';
import { NODE_NAME } from '../config/layout.js';
import { DatabaseRoom } from '../db/room.js';
import type { Base } from './base.js';
import type { Cluster } from './cluster.js';

/** Watches the disk of `JR_ROOT`, and keeps room on it for the database. */
export function openDisk({ layout, log, db, now, onClose }: Base, { own }: Cluster): DiskWatch {
  const room = new DatabaseRoom(db, layout.database);
  const disk = new DiskWatch({
    path: layout.root,
    slurm: own?.slurm,
    nodesHere: () => [NODE_NAME, ...(own?.sshHosts.all() ?? []).map(({ name }) => name)],
    keepRoom: () => room.keep(),
    now,
    log,
  });
  onClose(() => disk.close());
  disk.start();
  return disk;
}
