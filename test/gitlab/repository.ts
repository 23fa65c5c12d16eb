import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { execa } from 'execa';

export interface Entry {
  id: string;
  type: 'blob' | 'tree' | 'commit';
  path: string;
  mode: string;
}

/** The branch moved while the commit was made. */
export class BranchMoved extends Error {}

const author = {
  GIT_AUTHOR_NAME: 'Stand-in',
  GIT_AUTHOR_EMAIL: 'stand-in@example.com',
  GIT_COMMITTER_NAME: 'Stand-in',
  GIT_COMMITTER_EMAIL: 'stand-in@example.com',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
};

/** A bare git repository on disk, read and written with git's plumbing commands. */
export class Repository {
  private constructor(readonly path: string) {}

  static async init(path: string, branch: string): Promise<Repository> {
    const repository = new Repository(path);
    await execa('git', ['init', '-q', '--bare', '-b', branch, path], { env: author });
    return repository;
  }

  /** Returns the commit of a ref. */
  async commitOf(ref: string): Promise<string | undefined> {
    return this.#quietly('rev-parse', '--verify', '-q', '--end-of-options', `${ref}^{commit}`);
  }

  async blobOf(commit: string, path: string): Promise<string | undefined> {
    const entry = (await this.entries(commit, path, false)).find((each) => each.path === path);
    return entry?.type === 'blob' ? entry.id : undefined;
  }

  async read(blob: string): Promise<Buffer> {
    const args = ['-C', this.path, 'cat-file', 'blob', blob];
    const { stdout } = await execa('git', args, { encoding: 'buffer', stripFinalNewline: false });
    return Buffer.from(stdout);
  }

  async lastCommitOf(commit: string, path: string): Promise<string> {
    return this.#git(['rev-list', '-1', commit, '--', path]);
  }

  /** @param path with a slash at the end for the content of a folder */
  async entries(commit: string, path: string, recursive: boolean): Promise<Entry[]> {
    const flags = recursive ? ['-r', '-t'] : [];
    const scope = path === '' ? [] : ['--', path];
    const listed = await this.#git(['ls-tree', '-z', ...flags, commit, ...scope]);
    return listed
      .split('\0')
      .filter((line) => line !== '')
      .map((line) => {
        const [, mode = '', type, id = '', name = ''] =
          /^(\d+) (\w+) ([0-9a-f]+)\t(.*)$/s.exec(line) ?? [];
        return { id, type: type as Entry['type'], path: name, mode };
      });
  }

  /**
   * Commits files to a branch; null removes one.
   * @param options.parent the expected head of the branch; the present one by default @param
   *   options.meanwhile called between the commit and the move of the branch @throws BranchMoved
   */
  async commit(
    branch: string,
    files: Record<string, string | Buffer | null>,
    message: string,
    options: { parent?: string | undefined; meanwhile?: (() => Promise<void>) | undefined } = {},
  ): Promise<string> {
    const ref = `refs/heads/${branch}`;
    const parent = options.parent ?? (await this.commitOf(ref));
    const index = { GIT_INDEX_FILE: join(this.path, `index-${randomBytes(8).toString('hex')}`) };
    if (parent !== undefined) await this.#git(['read-tree', parent], { env: index });
    const blobs = new Map<string | Buffer | null, string>([[null, '0'.repeat(40)]]);
    for (const content of new Set(Object.values(files)))
      if (content !== null)
        blobs.set(content, await this.#git(['hash-object', '-w', '--stdin'], { input: content }));
    const info = Object.entries(files)
      .map(([path, to]) => `${to === null ? '0' : '100644'} ${blobs.get(to)}\t${path}\0`)
      .join('');
    await this.#git(['update-index', '-z', '--add', '--index-info'], { env: index, input: info });
    const tree = await this.#git(['write-tree'], { env: index });
    const parents = parent === undefined ? [] : ['-p', parent];
    const commit = await this.#git(['commit-tree', tree, ...parents], { input: message });
    await options.meanwhile?.();
    const moved = await this.#quietly('update-ref', ref, commit, parent ?? '0'.repeat(40));
    if (moved === undefined) throw new BranchMoved(ref);
    return commit;
  }

  async #git(
    args: string[],
    { env, input }: { env?: Record<string, string>; input?: string | Buffer } = {},
  ): Promise<string> {
    const { stdout } = await execa('git', ['-C', this.path, ...args], {
      env: { ...author, ...env },
      input: input ?? '',
    });
    return stdout;
  }

  /** @returns undefined when git fails. */
  async #quietly(...args: string[]): Promise<string | undefined> {
    const done = await execa('git', ['-C', this.path, ...args], { env: author, reject: false });
    return done.exitCode === 0 ? done.stdout : undefined;
  }
}
