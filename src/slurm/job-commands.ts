/** What is done to one job, by Slurm's number of it. */
export interface JobCommands {
  cancel(slurmJobId: number): Promise<void>;
  hold(slurmJobId: number): Promise<void>;
  release(slurmJobId: number): Promise<void>;
  requeue(slurmJobId: number): Promise<void>;
}

/**
 * By the commands of whoever may change it.
 * @param act runs one of them
 */
export function jobCommands(
  act: (program: 'scontrol' | 'scancel', args: string[]) => Promise<string>,
): JobCommands {
  const control = async (...args: string[]) => {
    await act('scontrol', args);
  };
  return {
    cancel: async (id) => {
      await act('scancel', [String(id)]);
    },
    // As its owner would: an Operator's plain hold could only be released by one.
    hold: (id) => control('uhold', String(id)),
    release: (id) => control('release', String(id)),
    requeue: async (id) => {
      // Jobs are submitted as not to be requeued, so that Slurm does not do it unasked when a node fails.
      await control('update', `JobId=${id}`, 'Requeue=1');
      await control('requeue', String(id));
      await control('update', `JobId=${id}`, 'Requeue=0');
    },
  };
}
