import type { Limits } from '../auth/user-limits.js';
import { ImportService } from '../datasets/import/service.js';
import { DatasetService } from '../datasets/service.js';
import * as jobStore from '../jobs/store.js';
import { ObjectStore } from '../storage/object-store/object-store.js';
import type { Base } from './base.js';

export interface Data {
  datasets: DatasetService;
  imports: ImportService;
}

/** Opens datasets and imports. */
export async function openData(base: Base, userLimits: Limits): Promise<Data> {
  const { config, layout, log, db, now, onClose } = base;
  const { limits } = config;
  const datasets = new DatasetService({
    db,
    root: layout.datasets,
    limits,
    now,
    log,
    isInUse: (sha) => jobStore.isDatasetInUse(db, sha),
    room: userLimits,
  });
  onClose(() => datasets.close());
  await datasets.start();

  const storage = config.b2 && { ...config.b2, store: new ObjectStore(config.b2) };
  onClose(() => storage?.store.close());
  const imports = new ImportService({ db, datasets, storage, limits, now, log });
  onClose(() => imports.close());
  imports.start();
  return { datasets, imports };
}
