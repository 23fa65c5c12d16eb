import type { IngestContext } from '../ingest/open-source.js';
import { readOutcome } from '../ingest/read-outcome.js';
import { RunningSources } from '../ingest/running-sources.js';
import { ingestSources } from '../ingest/sources.js';
import type { Base } from './base.js';
import { gpuCountOf, type Cluster } from './cluster.js';
import type { Jobs } from './jobs.js';
import type { Outputs } from './outputs.js';

/** Opens the ingest sources that the settings name. */
export async function openIngest(
  base: Base,
  cluster: Cluster,
  { jobs, control, models, templates }: Jobs,
  { outputs, folders, onTheWay }: Outputs,
): Promise<RunningSources> {
  const { config, layout, log, db, now, onClose } = base;
  const { publicUrl } = config.ingest;
  const outcomeParts = { jobs, outputs, folders, onTheWay, publicUrl, now };
  const context: IngestContext = {
    config,
    layout,
    log,
    db,
    jobs,
    control,
    models,
    commandKeys: () => templates.keys(),
    gpuCount: gpuCountOf(cluster),
    outcomeOf: (id, signal) => readOutcome(outcomeParts, id, signal),
    now,
    onClose,
  };
  const opened = [];
  for (const open of ingestSources) opened.push(await open(context));
  return new RunningSources(opened.filter((source) => source !== undefined));
}
