/** Slurm's reasons (squeue(1), JOB REASON CODES) in words for somebody who does not run clusters. */
const words: Record<string, string> = {
  Resources: 'waits for CPUs, memory or GPUs that other jobs hold',
  Priority: 'waits behind jobs that come first',
  BeginTime: 'waits for its begin time',
  Dependency: 'waits for the jobs it depends on',
  DependencyNeverSatisfied: 'a job it depends on failed, so it can never start',
  JobHeldUser: 'is held; release it to let it start',
  JobHeldAdmin: 'is held by an administrator',
  NodeDown: 'its node is down',
  ReqNodeNotAvail: 'the node it needs is down, drained or reserved',
  // The whole of it: "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions".
  Nodes: 'the nodes it could run on are down, drained or reserved',
  PartitionDown: 'its partition is down',
  PartitionNodeLimit: 'asks for more than its partition has',
  PartitionTimeLimit: 'asks for more time than its partition allows',
  BadConstraints: 'asks for what no node has',
  AssocGrpJobsLimit: 'waits until fewer of its user’s jobs run',
  AssocGrpGRES: 'waits until its user’s jobs leave GPUs that the user may have',
  JobArrayTaskLimit: 'waits for other tasks of its array',
  launch_failed_requeued_held: 'could not be started and is held; its node has the reason',
};

/** True when nothing but other jobs, or a GPU that is held back, keeps it from starting. */
export function waitsForRoom(reason: string): boolean {
  return reason === 'Resources' || reason === 'Priority';
}

export function explainReason(reason: string): string {
  // Slurm appends what it is about: "ReqNodeNotAvail, UnavailableNodes:box0".
  return words[reason.split(/[,( ]/)[0] ?? ''] ?? 'see squeue(1), JOB REASON CODES';
}
