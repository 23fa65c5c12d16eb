import { randomBytes } from 'node:crypto';
import pLimit from 'p-limit';
import { commandRunner, SlurmError, type CommandOptions } from '../command.js';
import { jobCommands } from '../job-commands.js';
import { nodeArguments, parseNodes } from '../nodes.js';
import { parsePending, pendingArguments } from '../pending.js';
import { inParts, parseSacct, sacctArguments, type Past } from '../sacct.js';
import { parseSbatch } from '../sbatch.js';
import { readSqueue, squeueArguments } from '../squeue.js';
import type { ExternalClient, SubmitDefaults } from './client.js';
import { parsePartitions, partitionArguments } from './partitions.js';
import { externalSbatchArguments } from './submit.js';

export interface ExternalCommands {
  /** Each command's absolute path, by its name. */
  programs: Record<ExternalProgram, string>;
  /** Undefined for where the commands themselves look. */
  slurmConf: string | undefined;
  /** As whom jobs are submitted and changed, by sudo; undefined for the API's own user. */
  user: string | undefined;
  defaults: SubmitDefaults;
}

export const externalProgramNames = [
  'sbatch',
  'squeue',
  'sacct',
  'scontrol',
  'sinfo',
  'scancel',
] as const;
export type ExternalProgram = (typeof externalProgramNames)[number];

const submitsAtOnce = 4;

/** An external cluster's Slurm through its own commands. Nobody else's jobs are asked for. */
export function externalCommandClient(commands: ExternalCommands): ExternalClient {
  const { programs, slurmConf, user, defaults } = commands;
  const run = commandRunner({ path: '/usr/bin:/bin', slurmConf });
  const ask = (program: ExternalProgram, args: string[], options?: CommandOptions) =>
    run(programs[program], args, options);
  /** As the jobs' user. sudo is there for another; sudoers must keep SLURM_CONF for these programs. */
  const act = (program: ExternalProgram, args: string[], options?: CommandOptions) =>
    user === undefined
      ? ask(program, args, options)
      : run('sudo', ['-n', '-u', user, programs[program], ...args], options);
  // By number: in a container the API's user may have no name.
  const own = `--user=${user ?? process.getuid?.() ?? ''}`;
  const limit = pLimit(submitsAtOnce);
  let accounting: Promise<boolean> | undefined;
  const hasAccounting = async () => {
    const config = await ask('scontrol', ['show', 'config']);
    return !/^AccountingStorageType\s*=\s*(accounting_storage\/none|\(null\))/m.test(config);
  };
  const past = async (which: Past) => {
    // Asked once: an external cluster does not come to keep a history while we run.
    accounting ??= hasAccounting();
    if (!(await accounting.catch(forget))) return [];
    const delimiter = `|${randomBytes(12).toString('hex')}|`;
    const args = sacctArguments(which, delimiter).filter((arg) => arg !== '--allusers');
    return parseSacct(await ask('sacct', [...args, own]), delimiter);
  };
  return {
    submit: (spec, script) =>
      limit(async () => {
        const args = externalSbatchArguments(spec, defaults);
        return parseSbatch(await act('sbatch', args, { input: script }));
      }),
    queue: async () => readSqueue(await ask('squeue', [...squeueArguments(), own])),
    pending: async () => parsePending(await ask('squeue', pendingArguments())),
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
