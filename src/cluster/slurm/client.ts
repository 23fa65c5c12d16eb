import { setAccount, type AccountLimits } from './accounts.js';
import { randomBytes } from 'node:crypto';
import { commandRunner, type RunCommand } from './command.js';
import { jobCommands, type JobCommands } from './job-commands.js';
import type { SlurmRecord } from './job-record.js';
import { nodeArguments, parseNodes, type SlurmNode } from './nodes.js';
import { inParts, parseSacct, sacctArguments, type Past } from './sacct.js';
import { NODE_NAME } from '../../config/layout.js';
import {
  PLACEHOLDER_PARTITION,
  PLACEHOLDER_WORKERS_PARTITION,
  placeholderArguments,
  placeholderQueueArguments,
  placeholderScript,
  parsePlaceholders,
  type PlaceholderReserve,
  type Placeholder,
} from './placeholder-jobs.js';
import { parsePending, pendingArguments, type PendingJob } from './pending.js';
import { parsePlacements, type GpuPlacement } from './placements.js';
import { parseSbatch } from './submit/sbatch.js';
import { parsePriority, readSqueue, priorityArguments, squeueArguments } from './squeue.js';

/** A Slurm, of our own or external. Every method throws SlurmError. Jobs are submitted by a JobSubmitter. */
export interface SlurmClient extends JobCommands {
  /** Live jobs and those that ended in the last `MinJobAge` seconds. */
  queue(): Promise<SlurmRecord[]>;
  /** Jobs that wait, in no order. */
  pending(): Promise<PendingJob[]>;
  /** What accounting knows of jobs since then (milliseconds since 1970); see {@link Past} for what is missing there. */
  history(since: number): Promise<SlurmRecord[]>;
  /** All that accounting knows of those jobs, the latest last; a number may have been given out anew. */
  historyOf(slurmJobIds: readonly number[]): Promise<SlurmRecord[]>;
  nodes(): Promise<SlurmNode[]>;
  /** Throws unless slurmctld answers. */
  pingController(): Promise<void>;
  /** Throws unless slurmdbd answers. */
  pingAccounting(): Promise<void>;
}

/** The Slurm of our own cluster, whose Operator the API's user is. */
export interface OperatorClient extends SlurmClient {
  /** Makes the account, or changes its limits and lets that Unix user submit under it; see accounts.ts. */
  setAccount(account: string, limits: AccountLimits, unixUser: string): Promise<void>;
  /** A waiting job's place in the queue: the higher, the sooner; 0 while it is held. */
  priorityOf(slurmJobId: number): Promise<number>;
  setPriority(slurmJobId: number, priority: number): Promise<void>;
  /** The GPUs of all running jobs, placeholders too, by Slurm's job number. */
  placements(): Promise<Map<number, GpuPlacement>>;
  /** Takes a GPU, or a part of one, away from jobs until it is cancelled. @returns Slurm's job number. */
  submitPlaceholder(gres: string, comment: string, nice: number, node: string): Promise<number>;
  /** All placeholders of that machine; of all workers for one of them. */
  placeholders(node: string): Promise<Placeholder[]>;
  drainNode(name: string, reason: string): Promise<void>;
  resumeNode(name: string): Promise<void>;
}

/** Asks our own cluster by Slurm's commands; the API's user is an Operator there. */
export function commandSlurmClient(slurmConf: string, reserve: PlaceholderReserve): OperatorClient {
  const run: RunCommand = commandRunner(slurmConf);
  const withoutReserve = (node: SlurmNode): SlurmNode => ({
    ...node,
    cpus: node.cpus - reserve.cpus,
    memoryMb: node.memoryMb - reserve.memoryMb,
    // Placeholders have theirs of the reserve, but Slurm counts them with the jobs'.
    cpusAllocated: Math.min(node.cpusAllocated, node.cpus - reserve.cpus),
    memoryAllocatedMb: Math.min(node.memoryAllocatedMb, node.memoryMb - reserve.memoryMb),
  });
  const past = async (which: Past) => {
    const delimiter = `|${randomBytes(12).toString('hex')}|`;
    return parseSacct(await run('sacct', sacctArguments(which, delimiter)), delimiter);
  };
  const setNodeState = async (...args: string[]) => {
    await run('sudo', ['-n', '-u', 'slurm', '/usr/local/lib/jobrunner/set-node-state', ...args]);
  };
  return {
    setAccount: (account, limits, unixUser) => setAccount(run, account, limits, unixUser),
    queue: async () => readSqueue(await run('squeue', squeueArguments())),
    pending: async () => parsePending(await run('squeue', pendingArguments())),
    history: (since) => past({ since }),
    historyOf: (ids) => inParts(ids, (slurmJobIds) => past({ slurmJobIds })),
    ...jobCommands(run),
    priorityOf: async (id) => parsePriority(await run('squeue', priorityArguments(id))),
    setPriority: async (id, priority) => {
      await run('scontrol', ['update', `JobId=${id}`, `Priority=${priority}`]);
    },
    placements: async () =>
      parsePlacements(await run('scontrol', ['--details', '--oneliner', 'show', 'job'])),
    submitPlaceholder: async (gres, comment, nice, node) =>
      parseSbatch(
        await run('sbatch', placeholderArguments(gres, comment, nice, node), {
          input: placeholderScript,
        }),
      ),
    placeholders: async (node) =>
      parsePlaceholders(await run('squeue', placeholderQueueArguments(node))),
    nodes: async () => {
      const nodes = parseNodes(await run('sinfo', nodeArguments(), { timeoutMs: 3000 }));
      return nodes
        .filter(
          ({ partition }) =>
            ![PLACEHOLDER_PARTITION, PLACEHOLDER_WORKERS_PARTITION].includes(partition),
        )
        .map((node) => (node.name === NODE_NAME ? withoutReserve(node) : node));
    },
    drainNode: (name, reason) => setNodeState(name, 'DRAIN', reason),
    resumeNode: (name) => setNodeState(name, 'RESUME'),
    pingController: async () => {
      const said = await run('scontrol', ['ping'], { timeoutMs: 3000 });
      if (!/ is UP/.test(said)) throw new Error(`slurmctld: ${said.trim()}`);
    },
    pingAccounting: async () => {
      await run('sacctmgr', ['--noheader', 'list', 'cluster'], { timeoutMs: 3000 });
    },
  };
}
