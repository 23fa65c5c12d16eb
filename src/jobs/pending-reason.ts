/** Slurm's reasons (squeue(1), JOB REASON CODES), explained for people who do not run clusters. */
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
  // In full: "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority
  // partitions".
  Nodes: 'the nodes it could run on are down, drained or reserved',
  PartitionDown: 'its partition is down',
  PartitionNodeLimit: 'asks for more than its partition has',
  PartitionTimeLimit: 'asks for more time than its partition allows',
  BadConstraints: 'has constraints that no node satisfies',
  AssocGrpJobsLimit: 'waits until fewer of its user’s jobs run',
  AssocGrpGRES: 'waits until its user’s jobs use fewer GPUs',
  JobArrayTaskLimit: 'waits for other tasks of its array',
  launch_failed_requeued_held: 'could not be started and is held; its node has the reason',
};

/** Tells whether only other jobs, or a closed GPU, keep the job from starting. */
export function waitsForRoom(reason: string): boolean {
  return reason === 'Resources' || reason === 'Priority';
}

export function explainReason(reason: string): string {
  // Slurm may append details: "ReqNodeNotAvail, UnavailableNodes:box0".
  return words[reason.split(/[,( ]/)[0] ?? ''] ?? 'see squeue(1), JOB REASON CODES';
}
