import { checkGpus } from '../../cluster/gpus/request.js';
import { choosingOf, type FleetTarget, type LocalResources } from './fleet-target.js';
import { checkLimits } from './limits.js';
import { mayUseLocalGpus } from './target.js';

/** The machine that the API runs on. */
export function thisMachine({ limits, fleet, isClosed }: LocalResources): FleetTarget {
  return {
    folderOwner: 'job-user',
    mayBeRemote: false,
    limits,
    problemWith: (request) =>
      checkLimits(request, limits) ?? checkGpus(fleet.gpus, request, fleet.shardsPerGpu),
    ...choosingOf({ gpusFor: () => fleet, competes: mayUseLocalGpus, isClosed }),
  };
}
