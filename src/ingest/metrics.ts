import { Counter, Gauge, type Registry } from 'prom-client';
import type { RunningSources } from './running-sources.js';
import type { IngestSourceStatus } from './source-status.js';

const counted = {
  found: 'Jobs that the last scan found to be claimed',
  claimed: 'Claimed jobs that are not running: being submitted, waiting or to be reported',
  running: 'Claimed jobs that are running',
  done: 'Claimed jobs whose outcome was reported',
  failed: 'Claimed jobs that could not be submitted and were reported as failed',
  lost: 'Claims that another server took over or that were removed',
} satisfies Partial<Record<keyof IngestSourceStatus, string>>;

/** Registers `jobrunner_ingest_…`, by ingest source. */
export function ingestMetrics(registry: Registry, ingest: RunningSources): void {
  const common = { labelNames: ['source'], registers: [registry] };
  for (const [field, help] of Object.entries(counted))
    new Gauge({
      ...common,
      name: `jobrunner_ingest_${field}`,
      help,
      collect() {
        this.reset();
        for (const status of ingest.list())
          this.set({ source: status.name }, status[field as keyof typeof counted]);
      },
    });
  new Gauge({
    ...common,
    name: 'jobrunner_ingest_paused',
    help: '1 while the source is paused',
    collect() {
      this.reset();
      for (const { name, paused } of ingest.list()) this.set({ source: name }, paused ? 1 : 0);
    },
  });
  new Gauge({
    ...common,
    name: 'jobrunner_ingest_last_scan_timestamp_seconds',
    help: 'Start time of the last complete scan',
    collect() {
      this.reset();
      for (const { name, last_scan: at } of ingest.list())
        if (at !== null) this.set({ source: name }, at / 1000);
    },
  });
  new Counter({
    ...common,
    name: 'jobrunner_ingest_errors_total',
    help: 'Failures that are retried, and new problems in scanned items',
    collect() {
      this.reset();
      for (const status of ingest.list()) this.inc({ source: status.name }, status.error_count);
    },
  });
}
