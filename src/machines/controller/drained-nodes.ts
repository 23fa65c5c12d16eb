import { commandRunner, SlurmError } from '../../cluster/slurm/command.js';
import { nodeArguments, parseNodes } from '../../cluster/slurm/nodes.js';
import type { Layout } from '../../config/layout.js';

/**
 * Returns the reasons of the drained nodes, by name; none when slurmctld does not answer. A drained
 * node that is set down stays drained, but takes the reason that is given then.
 */
export async function drainedNodes(layout: Layout): Promise<Map<string, string>> {
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
