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

/**
 * What may be otherwise in a moment (sbatch.c). The last: until a slurmctld that has just started is told of the nodes' GPUs, it has
 * none for anybody; whoever submits has made sure before that there are such nodes.
 */
const notNow =
  /, (?:sleeping and )?retrying$|MaxSubmitJobsPer|Job violates accounting|Requested node configuration is not available/im;

function kindOf(said: string): SlurmError['kind'] {
  if (notAsked.test(said)) return 'unreachable';
  return notAnswered.test(said) ? 'unanswered' : 'refused';
}

/**
 * @param slurmConf the cluster's slurm.conf
 * @throws SlurmError from the function it returns
 */
export function commandRunner(slurmConf: string): RunCommand {
  const env = {
    PATH: '/usr/bin:/bin',
    SLURM_CONF: slurmConf,
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
