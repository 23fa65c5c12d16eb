/** What is done to one job, by Slurm's number of it. */
export interface JobCommands {
  cancel(slurmJobId: number): Promise<void>;
  hold(slurmJobId: number): Promise<void>;
  release(slurmJobId: number): Promise<void>;
  /** @param stays whether it was submitted as one that Slurm may requeue by itself */
  requeue(slurmJobId: number, stays: boolean): Promise<void>;
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
    requeue: async (id, stays) => {
      // Other jobs are submitted as not to be requeued, so that Slurm does not do it unasked when a node fails.
      const setRequeue = (to: 0 | 1) => control('update', `JobId=${id}`, `Requeue=${to}`);
      if (!stays) await setRequeue(1);
      await control('requeue', String(id));
      if (!stays) await setRequeue(0);
    },
  };
}
