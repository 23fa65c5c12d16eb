import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { z } from 'zod';
import type { Api } from '../../http/api.js';
import { endpoint } from '../../http/endpoint.js';
import { streamedReply } from '../../http/reply.js';
import type { Database } from '../../db/database.js';
import type { GpuView } from '../../cluster/gpus/replies.js';
import { storedBytes } from '../../datasets/store.js';
import { countByState } from '../../jobs/store.js';
import type { HealthCheck } from '../health/health.js';
import { ingestMetrics } from '../../ingest/metrics.js';
import type { RunningSources } from '../../ingest/running-sources.js';

/**
 * Mounts `GET /metrics` for Prometheus (prometheus.io/docs/practices/naming).
 * @param gpus GPUs of this machine; none on an external cluster
 */
export function metricsRoutes(
  api: Api,
  db: Database,
  health: HealthCheck,
  gpus: () => GpuView[],
  sources: RunningSources,
): void {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'jobrunner_jobs',
    help: 'Jobs by state',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { state, count } of countByState(db)) this.set({ state }, count);
    },
  });
  new Gauge({
    name: 'jobrunner_dataset_bytes',
    help: 'Bytes of stored datasets, as uploaded',
    registers: [registry],
    collect() {
      this.set(storedBytes(db));
    },
  });
  new Gauge({
    name: 'jobrunner_up',
    help: '1 when jobs can run',
    registers: [registry],
    async collect() {
      this.set((await health.check()).status === 'down' ? 0 : 1);
    },
  });
  const gpuGauge = (name: string, help: string, valueOf: (gpu: GpuView) => number | null) =>
    new Gauge({
      name,
      help,
      labelNames: ['gpu'],
      registers: [registry],
      collect() {
        // An unknown value is left out instead of keeping the last one.
        this.reset();
        for (const gpu of gpus()) {
          const value = valueOf(gpu);
          if (value !== null) this.set({ gpu: gpu.index }, value);
        }
      },
    });
  gpuGauge('jobrunner_gpu_memory_used_bytes', 'GPU memory in use, by anybody', (gpu) =>
    gpu.memory_used_mb === null ? null : gpu.memory_used_mb * 1024 ** 2,
  );
  gpuGauge('jobrunner_gpu_load_ratio', 'Part of the time that the GPU works', (gpu) =>
    gpu.load === null ? null : gpu.load / 100,
  );
  gpuGauge('jobrunner_gpu_closed', '1 when no job may start on the GPU', (gpu) =>
    gpu.paused === null && gpu.closed === null ? 0 : 1,
  );

  ingestMetrics(registry, sources);

  endpoint(
    api,
    {
      method: 'get',
      path: '/metrics',
      role: 'reader',
      summary: 'Show figures for Prometheus',
      query: z.looseObject({}),
      reply: streamedReply(registry.contentType, { 200: 'Prometheus’ text format.' }),
      errors: [],
    },
    async ({ res }) => {
      res.type(registry.contentType).send(await registry.metrics());
    },
  );
}
