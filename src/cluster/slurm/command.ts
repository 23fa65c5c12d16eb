import { execa } from 'execa';

/**
 * What went wrong with a Slurm command. `refused`: it said no. `unreachable`: nobody could be asked, so nothing was done.
 * `unanswered`: it may have been done, but no answer came. `busy`: not now, and nothing was done.
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

/** Runs one Slurm command; owns its time-out, its output's size and the sorting of its errors. */
export type RunCommand = (
  file: string,
  args: string[],
  options?: CommandOptions,
) => Promise<string>;

// What Slurm's clients print when a daemon cannot be asked (slurm_errno.c); all else is an answer.
const notAsked =
  /connect failure|connection refused|munge|problem talking to the database|slurm_persist_conn_open|plugin initialization/i;
const notAnswered =
  /unable to contact slurm|socket timed out|communication connection|not responding|zero bytes were transmitted|backup controller/i;

/** What may be otherwise in a moment (sbatch.c). */
const queueFull = /, (?:sleeping and )?retrying$|MaxSubmitJobsPer|Job violates accounting/im;

/**
 * In a cluster of our own also this: until a slurmctld that has just started is told of the nodes' GPUs, it has
 * none for anybody, and a worker that it had not written down is no node; whoever submits has made sure before that there are such
 * nodes.
 */
const notReady = new RegExp(
  `${queueFull.source}|Requested node configuration is not available|More processors requested than permitted`,
  queueFull.flags,
);

function kindOf(said: string): SlurmError['kind'] {
  if (notAsked.test(said)) return 'unreachable';
  return notAnswered.test(said) ? 'unanswered' : 'refused';
}

/** A Slurm that others run. */
export interface ExternalCommandSettings {
  /** Where its commands are looked for, as in PATH. */
  path: string;
  /** Undefined for where the commands themselves look. */
  slurmConf: string | undefined;
}

/**
 * @param cluster our own cluster's slurm.conf, or whose commands to run
 * @throws SlurmError from the function it returns
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
    // sbatch would go on trying by itself for two minutes. Stopped in its first pause, of a second, it has handed over nothing.
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

/** Slurm's words without the name of the command that printed them. */
function plainWords(said: string): string {
  return said
    .split('\n')
    .map((line) => line.replace(/^\w+: (error: )?|, (sleeping and )?retrying$/g, '').trim())
    .filter((line) => line !== '')
    .join('; ')
    .slice(0, 1000);
}
