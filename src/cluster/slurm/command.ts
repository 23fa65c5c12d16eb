import { execa } from 'execa';

/**
 * A failed Slurm command. `refused`: Slurm said no. `unreachable`: no daemon could be asked, so
 * nothing was done. `unanswered`: no answer came, so it may have been done. `busy`: nothing was
 * done; try again later.
 */
export class SlurmError extends Error {
  override readonly name = 'SlurmError';
  constructor(
    readonly kind: 'refused' | 'unreachable' | 'unanswered' | 'busy',
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

export interface CommandOptions {
  input?: string;
  timeoutMs?: number;
}

/** Runs one Slurm command; handles its time-out, its output's size and its errors. */
export type RunCommand = (
  file: string,
  args: string[],
  options?: CommandOptions,
) => Promise<string>;

// Messages of Slurm's clients when they cannot ask a daemon (slurm_errno.c); all others are
// answers.
const notAsked =
  /connect failure|connection refused|munge|problem talking to the database|slurm_persist_conn_open|plugin initialization/i;
const notAnswered =
  /unable to contact slurm|socket timed out|communication connection|not responding|zero bytes were transmitted|backup controller/i;

/** Messages about a temporary condition (sbatch.c). */
const queueFull = /, (?:sleeping and )?retrying$|MaxSubmitJobsPer|Job violates accounting/im;

/**
 * Adds the temporary messages of our own cluster. A new slurmctld counts no GPUs until the nodes
 * report them, and does not know a worker that it has not recorded. Callers check beforehand that
 * such nodes exist.
 */
const notReady = new RegExp(
  `${queueFull.source}|Requested node configuration is not available|More processors requested than permitted`,
  queueFull.flags,
);

function kindOf(said: string): SlurmError['kind'] {
  if (notAsked.test(said)) return 'unreachable';
  return notAnswered.test(said) ? 'unanswered' : 'refused';
}

/** Settings of an external cluster's commands. */
export interface ExternalCommandSettings {
  /** Folders of its commands, as in PATH. */
  path: string;
  /** Path of its slurm.conf; undefined for the commands' own default. */
  slurmConf: string | undefined;
}

/**
 * Makes a function that runs Slurm commands. That function throws SlurmError.
 * @param cluster our own cluster's slurm.conf, or an external cluster's settings
 */
export function commandRunner(cluster: string | ExternalCommandSettings): RunCommand {
  const isOurs = typeof cluster === 'string';
  const { path, slurmConf } = isOurs ? { path: '/usr/bin:/bin', slurmConf: cluster } : cluster;
  const notNow = isOurs ? notReady : queueFull;
  const env = {
    PATH: path,
    ...(slurmConf !== undefined && { SLURM_CONF: slurmConf }),
    SLURM_TIME_FORMAT: '%s',
    TZ: 'UTC',
    LC_ALL: 'C.UTF-8',
  };
  return async (file, args, { input = '', timeoutMs = 15_000 } = {}) => {
    const running = execa(file, args, {
      input,
      env,
      extendEnv: false,
      reject: false,
      timeout: timeoutMs,
      maxBuffer: 256 * 1024 ** 2,
      stripFinalNewline: false,
      cwd: '/',
    });
    // sbatch would retry by itself for two minutes. Stopped in its first pause, of a second, it has
    // submitted nothing.
    let heard = '';
    running.stderr.on('data', (chunk: Buffer) => {
      heard += chunk.toString();
      if (notNow.test(heard)) running.kill();
    });
    const result = await running;
    if (!result.failed) return result.stdout;
    if (notNow.test(result.stderr)) throw new SlurmError('busy', plainWords(result.stderr));
    if (result.timedOut)
      throw new SlurmError('unanswered', `${file} did not answer within ${timeoutMs / 1000} s`);
    const said = result.stderr.trim() || (result.shortMessage ?? `${file} failed`);
    throw new SlurmError(kindOf(said), plainWords(said), {
      cause: new Error(`${file}: ${said}`),
    });
  };
}

/** Removes the command's name from Slurm's message. */
function plainWords(said: string): string {
  return said
    .split('\n')
    .map((line) => line.replace(/^\w+: (error: )?|, (sleeping and )?retrying$/g, '').trim())
    .filter((line) => line !== '')
    .join('; ')
    .slice(0, 1000);
}
