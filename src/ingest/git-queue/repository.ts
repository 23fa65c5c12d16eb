import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GitError, runGit, withoutCredentials, type GitSetup } from './git.js';
import { blobStream, importStream, type FileChange, type Signature } from './import-stream.js';

/** An entry of a commit's tree. */
export interface TreeEntry {
  path: string;
  /** `100644` or `100755`; `120000` is a symbolic link, `160000` a submodule. */
  mode: string;
  oid: string;
  /** Bytes; null for anything but a file. */
  size: number | null;
}

export interface RepositoryParts {
  git: GitSetup;
  /** URL for fetching and pushing. */
  url: string;
  /** Such as `main`. */
  branch: string;
  /** Local repository: a bare one, or that of a clone. Only its `refs/jobrunner/` ever change. */
  gitDir: string;
  /** Whether the first fetch may omit history. */
  shallow: boolean;
  /** Name that separates the refs of several users of one `gitDir`. */
  name: string;
}

/**
 * Number of fetches between two checks for loose objects; each claim and each renewal makes some.
 */
const fetchesPerTidying = 100;

export type PushResult = { kind: 'pushed' } | { kind: 'refused'; reason: string };

/**
 * One branch of a remote repository. It reads git’s objects and makes commits of them without a
 * working tree, so links, filters and hooks of the repository have nothing to act on.
 */
export class Repository {
  readonly #ref: string;
  #fetches = 0;

  constructor(readonly parts: RepositoryParts) {
    this.#ref = `refs/jobrunner/${parts.name}`;
  }

  /** URL for messages, without credentials. */
  get shownUrl(): string {
    return withoutCredentials(this.parts.url);
  }

  /**
   * Fetches the branch’s newest commit; undefined when the repository has no such branch.
   * @throws GitError
   */
  async fetch(signal?: AbortSignal): Promise<string | undefined> {
    const { url, branch, shallow } = this.parts;
    const isFirst = shallow && !(await this.#hasObjects(signal));
    const options = ['--quiet', '--no-tags', '--no-recurse-submodules', '--no-write-fetch-head'];
    // Once in a while is enough; maintenance takes longer than the fetch itself.
    if (this.#fetches++ % fetchesPerTidying > 0) options.push('--no-auto-maintenance');
    const refspec = `+refs/heads/${branch}:${this.#ref}/tip`;
    try {
      await this.#git(
        ['fetch', ...options, ...(isFirst ? ['--depth=1'] : []), '--', url, refspec],
        { signal },
      );
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      // Only the exit code of ls-remote reliably tells a missing branch; the messages of fetch may
      // change.
      const { code } = await this.#git(
        ['ls-remote', '--exit-code', '--', url, `refs/heads/${branch}`],
        {
          answers: [2],
          signal,
        },
      );
      if (code === 2) return undefined;
      throw error;
    }
    return this.#tip(signal);
  }

  /** Lists all files below these paths, recursively. @throws GitError */
  async list(commit: string, paths: readonly string[], signal?: AbortSignal): Promise<TreeEntry[]> {
    const { stdout } = await this.#git(
      ['ls-tree', '-r', '-z', '--long', '--full-tree', commit, '--', ...paths],
      { signal },
    );
    return stdout
      .toString()
      .split('\0')
      .filter((line) => line !== '')
      .map((line) => {
        const [, mode = '', oid = '', size = '', path = ''] =
          /^(\d+) \w+ ([0-9a-f]+) +(\d+|-)\t([^]*)$/.exec(line) ?? [];
        if (mode === '') throw new Error(`git ls-tree wrote a line that cannot be read: ${line}`);
        return { path, mode, oid, size: size === '-' ? null : Number(size) };
      });
  }

  /** Reads blobs, in their order. @throws GitError */
  async read(oids: readonly string[], signal?: AbortSignal): Promise<Buffer[]> {
    if (oids.length === 0) return [];
    const input = Buffer.from(oids.map((oid) => `${oid}\n`).join(''));
    const { stdout } = await this.#git(['cat-file', '--batch'], { input, signal });
    let at = 0;
    return oids.map((oid) => {
      const end = stdout.indexOf(0x0a, at);
      const [, size] = /^[0-9a-f]+ blob (\d+)$/.exec(stdout.subarray(at, end).toString()) ?? [];
      if (size === undefined) throw new GitError(`git cat-file: ${oid} cannot be read`);
      const start = end + 1;
      at = start + Number(size) + 1;
      return stdout.subarray(start, at - 1);
    });
  }

  /**
   * Commits a few files on top of another commit, without pushing.
   * @param parent undefined for the first commit of a branch
   */
  async commit(
    parent: string | undefined,
    files: readonly FileChange[],
    message: string,
    by: Signature,
    signal?: AbortSignal,
  ): Promise<string> {
    const input = importStream({ ref: `${this.#ref}/next`, parent, files, message, by });
    const { stdout } = await this.#git(
      ['fast-import', '--quiet', '--force', '--done', '--date-format=raw'],
      { input, signal },
    );
    const oid = stdout.toString().trim();
    if (!/^[0-9a-f]{40,64}$/.test(oid)) throw new GitError('git fast-import: named no commit');
    return oid;
  }

  /** Whether `commit` is `tip` or an ancestor of it. @throws GitError */
  async isAncestor(commit: string, tip: string, signal?: AbortSignal): Promise<boolean> {
    const { code } = await this.#git(['merge-base', '--is-ancestor', commit, tip], {
      answers: [1],
      signal,
    });
    return code === 0;
  }

  /** Pushes a commit to the branch, never by force. @throws GitError when the outcome is unknown */
  async push(commit: string, signal?: AbortSignal): Promise<PushResult> {
    const { url, branch } = this.parts;
    const { stdout, code } = await this.#git(
      ['push', '--porcelain', '--no-verify', '--', url, `${commit}:refs/heads/${branch}`],
      { answers: [1], signal },
    );
    // git-push(1), OUTPUT: a flag, a tab, the refs, a tab, the reason.
    const line = stdout
      .toString()
      .split('\n')
      .find((text) => /^[ +\-*!=]\t/.test(text));
    if (code === 0 && line !== undefined && !line.startsWith('!')) return { kind: 'pushed' };
    const reason = line?.split('\t')[2] ?? 'git push: gave no reason';
    return { kind: 'refused', reason: withoutCredentials(reason).slice(0, 300) };
  }

  /**
   * Makes a tar of a commit’s files exactly as committed, links included; its `.gitattributes` have
   * no effect.
   */
  async archive(commit: string, maxBytes: number, signal?: AbortSignal): Promise<Buffer> {
    const { stdout } = await this.#git(['archive', '--format=tar', commit], { signal, maxBytes });
    return stdout;
  }

  /**
   * Stores a file as an object for a later {@link commit}.
   * @returns the object’s id
   */
  async store(size: number, bytes: AsyncIterable<Buffer>, signal?: AbortSignal): Promise<string> {
    const { stdout } = await this.#git(['fast-import', '--quiet', '--done'], {
      input: blobStream(size, bytes),
      signal,
    });
    return stdout.toString().trim();
  }

  /** Writes a commit’s files into an empty folder, as `git clone` would. */
  async checkOut(commit: string, folder: string, signal?: AbortSignal): Promise<void> {
    const index = `${folder}.index`;
    const env = { GIT_INDEX_FILE: index, GIT_WORK_TREE: folder };
    await this.#git(['read-tree', commit], { env, signal });
    await this.#git(['checkout-index', '--all', '--quiet'], { env, signal });
  }

  /** Deletes its refs; git’s own maintenance removes the objects later. */
  async close(): Promise<void> {
    for (const name of ['tip', 'next'])
      await this.#git(['update-ref', '-d', `${this.#ref}/${name}`], { answers: [1] });
  }

  async #tip(signal?: AbortSignal): Promise<string> {
    const ref = `${this.#ref}/tip`;
    // Saves a process where git stores refs as files.
    const text = await readFile(join(this.parts.gitDir, ref), 'utf8').catch(() => '');
    if (/^[0-9a-f]{40,64}\n$/.test(text)) return text.trim();
    const { stdout } = await this.#git(['rev-parse', '--verify', `${ref}^{commit}`], { signal });
    return stdout.toString().trim();
  }

  async #hasObjects(signal?: AbortSignal): Promise<boolean> {
    const { stdout } = await this.#git(['for-each-ref', '--count=1', 'refs/jobrunner/'], {
      signal,
    });
    return stdout.length > 0;
  }

  #git(args: readonly string[], call: Parameters<typeof runGit>[2]) {
    return runGit(this.parts.git, args, { ...call, gitDir: this.parts.gitDir });
  }
}
