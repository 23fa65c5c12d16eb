/** Commands that change one job, named by Slurm's number. */
export interface JobCommands {
  cancel(slurmJobId: number): Promise<void>;
  hold(slurmJobId: number): Promise<void>;
  release(slurmJobId: number): Promise<void>;
  /**
   * @param stays whether the job was submitted with permission for Slurm to requeue it by itself
   */
  requeue(slurmJobId: number, stays: boolean): Promise<void>;
}

/**
 * Makes job commands from Slurm's programs.
 * @param act runs a program as a user who may change the job
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
    // Uses the owner's hold: only an Operator could release an Operator's plain hold.
    hold: (id) => control('uhold', String(id)),
    release: (id) => control('release', String(id)),
    requeue: async (id, stays) => {
      // Other jobs are submitted without requeueing, so that Slurm does not requeue them when a
      // node fails.
      const setRequeue = (to: 0 | 1) => control('update', `JobId=${id}`, `Requeue=${to}`);
      if (!stays) await setRequeue(1);
      await control('requeue', String(id));
      if (!stays) await setRequeue(0);
    },
  };
}
