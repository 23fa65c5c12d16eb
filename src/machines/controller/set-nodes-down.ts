import { commandRunner, SlurmError } from '../../cluster/slurm/command.js';
import { nodeArguments, parseNodes } from '../../cluster/slurm/nodes.js';
import type { Layout } from '../../config/layout.js';
import { scontrol } from '../daemons/job-processes.js';

/**
 * Ends the jobs on these nodes as NODE_FAIL. A drained node is still drained once its slurmd has
 * registered again, and for the same reason.
 * @param reason of the other nodes
 */
export async function setNodesDown(
  layout: Layout,
  nodes: readonly string[],
  reason: string,
): Promise<void> {
  const drained = await drainedNodes(layout);
  const setDown = (names: readonly string[], why: string) =>
    scontrol(layout, 'update', `NodeName=${names.join(',')}`, 'State=DOWN', `Reason=${why}`);
  const others = nodes.filter((name) => !drained.has(name));
  if (others.length > 0) await setDown(others, reason);
  for (const name of nodes) {
    const present = drained.get(name);
    if (present !== undefined) await setDown([name], present);
  }
}

/** Returns the reasons of the drained nodes, by name; none when slurmctld does not answer. */
async function drainedNodes(layout: Layout): Promise<Map<string, string>> {
  const run = commandRunner(layout.slurmConf);
  try {
    const nodes = parseNodes(await run('sinfo', nodeArguments(), { timeoutMs: 3000 }));
    return new Map(
      nodes.flatMap(({ name, state, reason }) =>
        state.startsWith('drain') ? [[name, reason ?? 'drained']] : [],
      ),
    );
  } catch (error) {
    if (error instanceof SlurmError) return new Map();
    throw error;
  }
}
