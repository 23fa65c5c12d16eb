import { execa } from 'execa';
import type { JobId } from '../job.js';

/** Bytes on the disk. */
export interface DiskUse {
  /** Of all the job's folders. */
  bytes: number;
  /** Of its log's folder alone. */
  logBytes: number;
}

/**
 * Measures the folders of jobs; jobs without folders are missing from the result.
 * @throws the signal's reason once it fires
 */
export type MeasureJobs = (
  ids: readonly JobId[],
  signal: AbortSignal,
) => Promise<Map<JobId, DiskUse>>;

/**
 * Time limit, in seconds, after which the folders that were measured have to do, as in
 * libexec/measure-jobs.sh.
 */
const maxSeconds = 300;
/** Exit code of timeout(1) for a command that it ended. */
const TIMED_OUT = 124;
/** Exit code of du(1) when a file vanished meanwhile, or is closed to its user. */
const INCOMPLETE = 1;

/**
 * Measures as root, since jobs can close folders to the API.
 * @param slurmConf our own cluster's, which tells the program JR_ROOT
 */
export function measureAsRoot(slurmConf: string): MeasureJobs {
  const args = ['-n', '/usr/local/lib/jobrunner/measure-jobs'];
  const env = { PATH: '/usr/bin:/bin', SLURM_CONF: slurmConf };
  return async (ids, signal) => {
    const input = ids.map((id) => `${id}\n`).join('');
    const { uses, exitCode, said } = await run('sudo', args, {
      input,
      env,
      cwd: '/',
      signal,
      isRoots: true,
    });
    // sudo itself returns 1, too.
    if (exitCode === INCOMPLETE && uses.size === 0) throw failure(said);
    return uses;
  };
}

/** Measures as the API's own user, over an external Slurm. @param root JR_ROOT */
export function measureAsSelf(root: string): MeasureJobs {
  const du = ['du', '--summarize', '--block-size=1', '--one-file-system', '--files0-from=-'];
  const args = ['-n', '19', 'timeout', String(maxSeconds), ...du];
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8' };
  return async (ids, signal) => {
    const paths = ids.map((id) => `results/${id}\0logs/jobs/${id}\0scripts/${id}\0`);
    const { uses } = await run('nice', args, {
      input: paths.join(''),
      env,
      cwd: root,
      signal,
      isRoots: false,
    });
    return uses;
  };
}

interface Surroundings {
  input: string;
  env: Record<string, string>;
  cwd: string;
  signal: AbortSignal;
  /** Root's process cannot be killed from here, and ends once nobody reads its output. */
  isRoots: boolean;
}

async function run(
  file: string,
  args: string[],
  { signal, isRoots, ...surroundings }: Surroundings,
): Promise<{ uses: Map<JobId, DiskUse>; exitCode: number; said: string }> {
  signal.throwIfAborted();
  const running = execa(file, args, {
    ...surroundings,
    extendEnv: false,
    reject: false,
    buffer: { stdout: false },
  });
  const reading = read(running);
  let abandon = () => {};
  const aborted = new Promise<never>((_, reject) => {
    const fail = () => reject(signal.reason as Error);
    abandon = () => {
      running.kill();
      if (!isRoots) {
        // It stands in JR_ROOT until it has ended.
        void running.then(fail);
        return;
      }
      running.unref();
      running.stdout.destroy();
      running.stderr.destroy();
      fail();
    };
  });
  signal.addEventListener('abort', abandon, { once: true });
  try {
    return await Promise.race([reading, aborted]);
  } catch (error) {
    // A killed measure fails as well.
    if (signal.aborted) throw signal.reason;
    throw error;
  } finally {
    signal.removeEventListener('abort', abandon);
  }
}

async function read(
  running: AsyncIterable<string> &
    PromiseLike<{
      exitCode?: number | undefined;
      stderr: string;
      shortMessage?: string | undefined;
    }>,
): Promise<{ uses: Map<JobId, DiskUse>; exitCode: number; said: string }> {
  const uses = new Map<JobId, DiskUse>();
  for await (const line of running) addLine(uses, line);
  const { exitCode = -1, stderr, shortMessage } = await running;
  const said = stderr || (shortMessage ?? '');
  if (![0, INCOMPLETE, TIMED_OUT].includes(exitCode)) throw failure(said);
  return { uses, exitCode, said };
}

function addLine(uses: Map<JobId, DiskUse>, line: string): void {
  const [, bytes, folder, id] = /^(\d+)\t(results|logs\/jobs|scripts)\/(\d+)$/.exec(line) ?? [];
  if (id === undefined) throw failure(`du printed ${line}`);
  const use = uses.get(Number(id) as JobId) ?? { bytes: 0, logBytes: 0 };
  use.bytes += Number(bytes);
  if (folder === 'logs/jobs') use.logBytes += Number(bytes);
  uses.set(Number(id) as JobId, use);
}

function failure(said: string): Error {
  return new Error(`the folders of jobs cannot be measured: ${said}`);
}
