import { formatOf, readRows } from '../../../cluster/slurm/columns.js';
import { commandRunner } from '../../../cluster/slurm/command.js';
import { startName } from '../run/job-files.js';

const columns = [
  ['State', 20],
  ['RestartCnt', 12],
  ['NodeList', 80],
  ['Comment', 120],
] as const;

/**
 * Lists the jobs that Slurm runs now on any node, by {@link startName}. @throws SlurmError when it
 * does not answer
 */
export async function liveStarts(slurmConf: string): Promise<Set<string>> {
  const run = commandRunner(slurmConf);
  return parseStarts(await run('squeue', ['--noheader', '--all', formatOf(columns)]));
}

/** Parses squeue's output, which lists unended jobs. @throws Error on an unreadable record */
export function parseStarts(output: string): Set<string> {
  const starts = new Set<string>();
  for (const { State, RestartCnt, NodeList, Comment, line } of readRows(columns, output)) {
    if (!/^\d+$/.test(RestartCnt)) throw new Error(`squeue printed an unreadable line: ${line}`);
    // A waiting job has no folder anywhere; any folder of it is from an earlier start.
    if (State !== 'PENDING') starts.add(startName(NodeList, Comment, Number(RestartCnt)));
  }
  return starts;
}
