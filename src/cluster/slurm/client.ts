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
import {
  commentArguments,
  parseComment,
  parsePriority,
  readSqueue,
  priorityArguments,
  squeueArguments,
} from './squeue.js';

/**
 * A client of our own or an external Slurm. Every method throws SlurmError. A JobSubmitter submits
 * the jobs.
 */
export interface SlurmClient extends JobCommands {
  /** Returns live jobs, and jobs that ended in the last `MinJobAge` seconds. */
  queue(): Promise<SlurmRecord[]>;
  /** Returns the waiting jobs, in no order. */
  pending(): Promise<PendingJob[]>;
  /** Returns the comment of a job in the queue; throws `refused` when Slurm does not know it. */
  commentOf(slurmJobId: number): Promise<string>;
  /**
   * Returns accounting's jobs since that time (milliseconds since 1970); {@link Past} says which
   * are missing.
   */
  history(since: number): Promise<SlurmRecord[]>;
  /**
   * Returns accounting's records of those jobs, the latest last; Slurm may have reused a number.
   */
  historyOf(slurmJobIds: readonly number[]): Promise<SlurmRecord[]>;
  nodes(): Promise<SlurmNode[]>;
  /** Throws unless slurmctld answers. */
  pingController(): Promise<void>;
  /** Throws unless slurmdbd answers. */
  pingAccounting(): Promise<void>;
}

/** A client of our own cluster, in which the API's user is an Operator. */
export interface OperatorClient extends SlurmClient {
  /** Makes or updates the account, and lets that Unix user submit under it; see accounts.ts. */
  setAccount(account: string, limits: AccountLimits, unixUser: string): Promise<void>;
  /** Returns a waiting job's priority: higher starts sooner; 0 while the job is held. */
  priorityOf(slurmJobId: number): Promise<number>;
  setPriority(slurmJobId: number, priority: number): Promise<void>;
  /** Returns the GPUs of all running jobs, including placeholders, by Slurm's job number. */
  placements(): Promise<Map<number, GpuPlacement>>;
  /** Closes a GPU or a part of it to jobs until it is cancelled. @returns Slurm's job number */
  submitPlaceholder(gres: string, comment: string, nice: number, node: string): Promise<number>;
  /** Returns all placeholders of this machine; for a worker, those of all workers. */
  placeholders(node: string): Promise<Placeholder[]>;
  drainNode(name: string, reason: string): Promise<void>;
  resumeNode(name: string): Promise<void>;
}

/** Makes a client of our own cluster with Slurm's commands; the API's user is an Operator there. */
export function commandSlurmClient(slurmConf: string, reserve: PlaceholderReserve): OperatorClient {
  const run: RunCommand = commandRunner(slurmConf);
  const withoutReserve = (node: SlurmNode): SlurmNode => ({
    ...node,
    cpus: node.cpus - reserve.cpus,
    memoryMb: node.memoryMb - reserve.memoryMb,
    // Placeholders use the reserve, but Slurm counts their share with the jobs'.
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
    commentOf: async (id) => parseComment(await run('squeue', commentArguments(id))),
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
