import { randomBytes } from 'node:crypto';
import { SlurmError } from '../command.js';
import { jobCommands } from '../job-commands.js';
import { nodeArguments, parseNodes } from '../nodes.js';
import { parsePending, pendingArguments } from '../pending.js';
import { inParts, parseSacct, sacctArguments, type Past } from '../sacct.js';
import { commentArguments, parseComment, readSqueue, squeueArguments } from '../squeue.js';
import type { ExternalClient } from './client.js';
import type { ExternalCommands } from './commands.js';
import { parsePartitions, partitionArguments } from './partitions.js';

/** Makes a client of an external cluster with its own commands; it asks only for our own jobs. */
export function externalCommandClient(commands: ExternalCommands): ExternalClient {
  const { ask, act, ownJobs: own } = commands;
  let accounting: Promise<boolean> | undefined;
  const hasAccounting = async () => {
    const config = await ask('scontrol', ['show', 'config']);
    return !/^AccountingStorageType\s*=\s*(accounting_storage\/none|\(null\))/m.test(config);
  };
  const past = async (which: Past) => {
    // One answer is enough: a cluster does not start to keep a history while we run.
    accounting ??= hasAccounting();
    if (!(await accounting.catch(forget))) return [];
    const delimiter = `|${randomBytes(12).toString('hex')}|`;
    const args = sacctArguments(which, delimiter).filter((arg) => arg !== '--allusers');
    return parseSacct(await ask('sacct', [...args, own]), delimiter);
  };
  return {
    queue: async () => readSqueue(await ask('squeue', [...squeueArguments(), own])),
    pending: async () => parsePending(await ask('squeue', pendingArguments())),
    commentOf: async (id) => parseComment(await ask('squeue', commentArguments(id))),
    history: (since) => past({ since }),
    historyOf: (ids) => inParts(ids, (slurmJobIds) => past({ slurmJobIds })),
    ...jobCommands(act),
    setNice: async (id, nice) => {
      await act('scontrol', ['update', `JobId=${id}`, `Nice=${nice}`]);
    },
    nodes: async () => parseNodes(await ask('sinfo', nodeArguments(), { timeoutMs: 10_000 })),
    partitions: async () => parsePartitions(await ask('scontrol', partitionArguments())),
    hasAccounting,
    pingController: async () => {
      const said = await ask('scontrol', ['ping'], { timeoutMs: 10_000 });
      if (!/ is UP/.test(said)) throw new SlurmError('unreachable', `slurmctld: ${said.trim()}`);
    },
    pingAccounting: async () => {
      await ask('sacct', ['--noheader', '--starttime=now', own], { timeoutMs: 10_000 });
    },
  };

  function forget(error: unknown): never {
    accounting = undefined;
    throw error;
  }
}
