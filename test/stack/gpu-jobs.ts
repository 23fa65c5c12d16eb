import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LiveStack } from './live-stack.js';

/** Runs until the test ends it, so that the test decides how long it has its GPU. */
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

/** @param stack called each time, since the stack starts only after the tests have been read */
export function gpuJobs(stack: () => LiveStack) {
  const tellToEnd = (id: number): Promise<void> =>
    writeFile(join(stack().root, 'results', String(id), 'end'), '');
  return {
    /**
     * @returns the number of a job that ends on demand @throws when the job is not accepted
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

    /** Ends the jobs and waits until they have ended. */
    end: async (...ids: number[]): Promise<void> => {
      for (const id of ids) await tellToEnd(id);
      for (const id of ids) await stack().finish(id);
    },
  };
}
