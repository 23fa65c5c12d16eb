import { Counter, Gauge, type Registry } from 'prom-client';
import type { RunningSources } from './running-sources.js';
import type { IngestSourceStatus } from './source-status.js';

const counted = {
  found: 'Jobs that the last scan found to be claimed',
  claimed: 'Claimed jobs that do not run now: on their way, waiting or to be reported',
  running: 'Claimed jobs that run',
  done: 'Claimed jobs whose outcome was reported',
  failed: 'Claimed jobs that could not be submitted, and were reported so',
  lost: 'Claims that another server took over, or that were taken away',
} satisfies Partial<Record<keyof IngestSourceStatus, string>>;

/** `jobrunner_ingest_…`, by route. */
export function ingestMetrics(registry: Registry, ingest: RunningSources): void {
  const common = { labelNames: ['route'], registers: [registry] };
  for (const [field, help] of Object.entries(counted))
    new Gauge({
      ...common,
      name: `jobrunner_ingest_${field}`,
      help,
      collect() {
        this.reset();
        for (const status of ingest.list())
          this.set({ route: status.name }, status[field as keyof typeof counted]);
      },
    });
  new Gauge({
    ...common,
    name: 'jobrunner_ingest_paused',
    help: '1 when nothing more is taken',
    collect() {
      this.reset();
      for (const { name, paused } of ingest.list()) this.set({ route: name }, paused ? 1 : 0);
    },
  });
  new Gauge({
    ...common,
    name: 'jobrunner_ingest_last_scan_timestamp_seconds',
    help: 'When the last scan that came to its end began',
    collect() {
      this.reset();
      for (const { name, last_scan: at } of ingest.list())
        if (at !== null) this.set({ route: name }, at / 1000);
    },
  });
  new Counter({
    ...common,
    name: 'jobrunner_ingest_errors_total',
    help: 'Failures that are tried again, and new problems of what was found',
    collect() {
      this.reset();
      for (const status of ingest.list()) this.inc({ route: status.name }, status.error_count);
    },
  });
}
