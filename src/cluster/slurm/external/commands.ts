import { commandRunner, type CommandOptions } from '../command.js';

export const externalProgramNames = [
  'sbatch',
  'squeue',
  'sacct',
  'scontrol',
  'sinfo',
  'scancel',
] as const;
export type ExternalProgram = (typeof externalProgramNames)[number];

export interface ExternalCommandParts {
  /** Absolute path of each command, by name. */
  programs: Record<ExternalProgram, string>;
  /** Undefined for the commands' own default. */
  slurmConf: string | undefined;
  /** User who submits and changes jobs, through sudo; undefined for the API's own user. */
  user: string | undefined;
}

type Run = (program: ExternalProgram, args: string[], options?: CommandOptions) => Promise<string>;

/** The commands of an external cluster. */
export interface ExternalCommands {
  /** Runs a command as the API's user. @throws SlurmError */
  ask: Run;
  /** Runs a command as the jobs' user. @throws SlurmError */
  act: Run;
  /** Limits a list to the jobs of that user. */
  ownJobs: string;
}

export function externalCommands(parts: ExternalCommandParts): ExternalCommands {
  const { programs, slurmConf, user } = parts;
  const run = commandRunner({ path: '/usr/bin:/bin', slurmConf });
  const ask: Run = (program, args, options) => run(programs[program], args, options);
  // sudoers must keep SLURM_CONF for these programs.
  const act: Run = (program, args, options) =>
    user === undefined
      ? ask(program, args, options)
      : run('sudo', ['-n', '-u', user, programs[program], ...args], options);
  // Uses the number: in a container the API's user may have no name.
  return { ask, act, ownJobs: `--user=${user ?? process.getuid?.() ?? ''}` };
}
