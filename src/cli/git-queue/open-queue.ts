import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { pathInRepository, type GitQueueCommandConfig } from '../../config/git-queue.js';
import { GitError, runGit, type GitSetup } from '../../ingest/git-queue/git.js';
import { Queue } from '../../ingest/git-queue/queue.js';
import { Repository } from '../../ingest/git-queue/repository.js';
import { transportOf } from '../../config/git-transport.js';
import { userGit } from '../../ingest/git-queue/transport.js';
import { AppError, errnoOf } from '../../errors.js';
import { CliError } from '../cli-error.js';

export interface QueueOptions {
  repo?: string;
  branch?: string;
  queueFile?: string;
}

export interface OpenedQueue {
  queue: Queue;
  repository: Repository;
  /** Root of the clone around the current folder; undefined with `--repo`. */
  clone: string | undefined;
}

/** Opens the queue of the clone around the current folder, or of `--repo`. @throws CliError */
export async function openQueue(
  options: QueueOptions,
  config: GitQueueCommandConfig,
  mayCreate = false,
): Promise<OpenedQueue> {
  const git = userGit(config.env);
  const found =
    options.repo === undefined
      ? await cloneHere(git)
      : await ownCopy(git, options.repo, config.cacheFolder);
  const { url, gitDir, clone } = found;
  const branch = options.branch ?? found.branch ?? (await headOf(git, url));
  if (!/^(?![-/.])(?!.*(\.\.|\/\/|@\{|[/.]$|\.lock$))[^\0-\x20~^:?*[\\\x7f]+$/.test(branch))
    throw new CliError(`--branch: ${JSON.stringify(branch)} is not the name of a branch`);
  const queueFile = inRepository('--queue-file', options.queueFile ?? config.queueFile, clone);
  // Several runners may share one clone.
  const name = `queue-${randomBytes(8).toString('hex')}`;
  const shallow = clone === undefined;
  const repository = new Repository({ git, url, branch, gitDir, shallow, name });
  const queue = new Queue({ repository, queueFile, mayCreate, by: config.by, now: Date.now });
  return { queue, repository, clone };
}

/** Turns a user's path into one from the repository's root. @throws CliError */
export function inRepository(what: string, given: string, clone: string | undefined): string {
  const path =
    isAbsolute(given) && clone !== undefined
      ? relative(clone, resolve(given))
      : given.replace(/^(\.\/)+|\/+$/g, '');
  const parsed = pathInRepository.safeParse(path);
  if (parsed.success) return parsed.data;
  throw new CliError(`${what}: ${given} is not in the repository; name a path from its root`);
}

async function cloneHere(git: GitSetup) {
  const run = (answers: number[], args: string[]) =>
    runGit(git, ['-C', process.cwd(), ...args], { answers });
  const ask = async (...args: string[]) => {
    const { stdout, code } = await run([1, 2, 128], args);
    return code === 0 ? stdout.toString().trim() : undefined;
  };
  const top = await run([], ['rev-parse', '--show-toplevel']).catch((error: unknown) => {
    if (!(error instanceof GitError)) throw error;
    const why = error.message.replace(/^git -C: (fatal: )?/, '');
    throw new CliError(
      /^(not a git repository|this operation must be run in a work tree)/.test(why)
        ? 'this folder is not a clone of a repository: change to one, or name one with --repo'
        : `this folder: ${why}`,
      { cause: error },
    );
  });
  const clone = top.stdout.toString().trim();
  const gitDir = await ask('rev-parse', '--path-format=absolute', '--git-common-dir');
  const local = await ask('symbolic-ref', '--quiet', '--short', 'HEAD');
  const remote = (local && (await ask('config', `branch.${local}.remote`))) ?? 'origin';
  const upstream = local && (await ask('config', `branch.${local}.merge`));
  const url = await ask('remote', 'get-url', remote);
  if (url === undefined || gitDir === undefined)
    throw new CliError(
      `this clone has no remote ${remote}: add it (git remote add), or name one with --repo`,
    );
  const branch = upstream?.replace(/^refs\/heads\//, '') ?? local;
  return { url: absolute(url, clone), gitDir, clone, branch };
}

async function ownCopy(git: GitSetup, given: string, folder: string) {
  const url = absolute(given, process.cwd());
  try {
    transportOf(url);
  } catch (error) {
    if (error instanceof AppError) throw new CliError(`--repo: ${error.message}`);
    throw error;
  }
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    const reason = errnoOf(error);
    if (reason === undefined) throw error;
    throw new CliError(
      `${folder} cannot be made (${reason}); set XDG_CACHE_HOME to a folder that you can write to`,
      { cause: error },
    );
  }
  const name = createHash('sha256').update(url).digest('hex').slice(0, 16);
  const gitDir = join(folder, `${name}.git`);
  await runGit(git, ['init', '--quiet', '--bare', '--template=', gitDir]);
  return { url, gitDir, clone: undefined, branch: undefined };
}

/** Makes a remote absolute: it may be a folder, relative to the clone. */
function absolute(url: string, folder: string): string {
  return /^\.{0,2}\//.test(url) || /^\.{1,2}$/.test(url) ? resolve(folder, url) : url;
}

/** Finds the branch that a new clone would check out. */
async function headOf(git: GitSetup, url: string): Promise<string> {
  const { stdout } = await runGit(git, ['ls-remote', '--symref', '--', url, 'HEAD']).catch(
    (error: unknown) => {
      if (error instanceof GitError) throw new CliError(error.message, { cause: error });
      throw error;
    },
  );
  return /^ref: refs\/heads\/(\S+)\tHEAD$/m.exec(stdout.toString())?.[1] ?? 'main';
}
