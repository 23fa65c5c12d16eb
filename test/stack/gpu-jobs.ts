import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LiveStack } from './live-stack.js';

/** Runs until it is told to end, so that a test decides how long it has its GPU. */
export const untilTold = 'until [ -e end ]; do sleep 0.05; done';

export interface GpuJob {
  job_id: number;
  slurm_job_id: number | null;
  status: string;
  gres: string | null;
  gpu_indices: number[] | null;
  reason: string | null;
  reason_text: string | null;
  message: string | null;
  warning: string | null;
  priority: number;
}

/** @param stack asked at each call, since it starts only after the tests have been read */
export function gpuJobs(stack: () => LiveStack) {
  const tellToEnd = (id: number): Promise<void> =>
    writeFile(join(stack().root, 'results', String(id), 'end'), '');
  return {
    /**
     * @returns our number of a job that ends when it is told to. @throws when it is not accepted.
     */
    submit: async (fields: Record<string, unknown>): Promise<number> => {
      const { status, json, text } = await stack().submit({
        command_key: 'shell',
        command: untilTold,
        mem_gb: 0.1,
        ...fields,
      });
      if (status !== 201) throw new Error(text);
      return json.job_id;
    },

    show: async (id: number): Promise<GpuJob> =>
      (await stack().call<GpuJob>('GET', `/jobs/${id}`)).json,

    tellToEnd,

    /** Tells them to end and waits until they have. */
    end: async (...ids: number[]): Promise<void> => {
      for (const id of ids) await tellToEnd(id);
      for (const id of ids) await stack().finish(id);
    },
  };
}
