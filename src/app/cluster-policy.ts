import { join } from 'node:path';
import { isOwnerOrIngest } from '../auth/caller.js';
import type { Limits } from '../auth/user-limits.js';
import { shardsOf } from '../cluster/gpus/request.js';
import { niceOf } from '../cluster/slurm/priority.js';
import { packageRoot } from '../config/package-root.js';
import { watchEpilog } from '../jobs/job-ended.js';
import { ownPollIntervals } from '../jobs/polling.js';
import { OperatorRanking } from '../jobs/queue-priority/operator.js';
import { UserAccounts } from '../jobs/user-accounts.js';
import type { Base } from './base.js';
import type { Cluster, OwnCluster } from './cluster.js';
import { externalPolicy } from './external-cluster.js';

/** Rules for jobs that differ between our own cluster and an external one. */
export type ClusterPolicy = ReturnType<typeof ownPolicy> | ReturnType<typeof externalPolicy>;

export function policyOf(
  base: Base,
  userLimits: Limits,
  { own, external }: Cluster,
): ClusterPolicy {
  if (own) return ownPolicy(base, userLimits, own);
  if (external) return externalPolicy(base, external);
  throw new Error('neither our own cluster nor an external one is open');
}

function ownPolicy(
  { config, layout, db }: Base,
  userLimits: Limits,
  { slurm, here, jobUsers }: OwnCluster,
) {
  const accounts = new UserAccounts(slurm, (user) => {
    if (isOwnerOrIngest(user)) return undefined;
    const { max_running: running, max_gpus: maxGpus } = userLimits.of(user);
    const shards = shardsOf(maxGpus, here.fleet.shardsPerGpu);
    return { running: running || null, shards: shards || null };
  });
  return {
    accountFor: accounts.accountFor,
    limitsChanged: (user: string) => accounts.limitsChanged(user, jobUsers.nameOf(user)),
    niceOf,
    ranking: new OperatorRanking(db, slurm),
    intervals: ownPollIntervals(config.pollSeconds),
    watchEndings: watchEpilog(layout.jobEnded),
    /** Whether Slurm's accounting may lack a job's comment. */
    knowsByFolder: false,
    templates: join(packageRoot, 'templates'),
    script: undefined,
  };
}
