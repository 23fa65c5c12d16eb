import { formatOf, readRows } from '../../../cluster/slurm/columns.js';
import { commandRunner } from '../../../cluster/slurm/command.js';
import { startName } from '../run/job-files.js';

const columns = [
  ['State', 20],
  ['RestartCnt', 12],
  ['NodeList', 80],
  ['Comment', 120],
] as const;

/** What Slurm has on one node or another now, by {@link startName}. @throws SlurmError when it does not answer. */
export async function liveStarts(slurmConf: string): Promise<Set<string>> {
  const run = commandRunner(slurmConf);
  return parseStarts(await run('squeue', ['--noheader', '--all', formatOf(columns)]));
}

/** @param output of squeue, which lists jobs that have not ended. @throws Error on a record that cannot be read. */
export function parseStarts(output: string): Set<string> {
  const starts = new Set<string>();
  for (const { State, RestartCnt, NodeList, Comment, line } of readRows(columns, output)) {
    if (!/^\d+$/.test(RestartCnt))
      throw new Error(`squeue printed a line that cannot be read: ${line}`);
    // A job that waits has no folder anywhere; what is left of it is of an earlier start.
    if (State !== 'PENDING') starts.add(startName(NodeList, Comment, Number(RestartCnt)));
  }
  return starts;
}
