import { createReadStream } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join, resolve, sep } from 'node:path';
import { execa } from 'execa';
import { AppError, errnoOf, fieldError } from '../../errors.js';
import type { Repository } from '../../ingest/git-queue/repository.js';
import type { ResultFile } from '../../ingest/git-queue/results.js';

/** A job's own copy of the repository's files, in a temporary folder. */
export class Checkout {
  readonly #folder: string;

  private constructor(
    folder: string,
    readonly root: string,
  ) {
    this.#folder = folder;
  }

  static async make(repository: Repository, commit: string): Promise<Checkout> {
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'jobrunner-queue-')));
    const checkout = new Checkout(folder, join(folder, 'checkout'));
    try {
      await mkdir(checkout.root);
      await repository.checkOut(commit, checkout.root);
    } catch (error) {
      await checkout.remove();
      throw error;
    }
    return checkout;
  }

  /**
   * Finds a script.
   * @param clone base of scripts outside the repository; undefined where those are not allowed
   * @throws AppError unprocessable when the script is missing, or outside without permission
   */
  async script(path: string, clone: string | undefined): Promise<{ path: string; cwd: string }> {
    const inside = resolve(this.root, path);
    const isInside = !isAbsolute(path) && inside.startsWith(this.root + sep);
    if (isInside && (await this.#isHere(inside))) return { path, cwd: this.root };
    if (clone === undefined)
      throw fieldError(
        'unprocessable',
        'script',
        `${path} ${isInside ? 'leads' : 'is'} out of the repository; runners run such scripts only with --allow-outside`,
      );
    return { path: resolve(clone, path), cwd: clone };
  }

  /**
   * Returns the results folder, made if missing. @throws AppError unprocessable when it leads out
   * of the checkout
   */
  async resultsFolder(path: string): Promise<string> {
    const folder = join(this.root, path);
    for (let part = folder; part !== this.root; part = dirname(part)) {
      const stats = await lstat(part).catch(noneIfGone);
      if (stats && !stats.isDirectory())
        throw new AppError(
          'unprocessable',
          `results folder ${path}: not a folder in the repository`,
        );
    }
    await mkdir(folder, { recursive: true });
    return folder;
  }

  async remove(): Promise<void> {
    try {
      await rm(this.#folder, { recursive: true, force: true });
    } catch (error) {
      if (errnoOf(error) !== 'EACCES') throw error;
      // The job has made folders that we may not enter.
      await execa('chmod', ['-R', 'u+rwX', '--', this.#folder], { reject: false });
      await rm(this.#folder, { recursive: true, force: true });
    }
  }

  /** @throws AppError unprocessable when the script is missing */
  async #isHere(path: string): Promise<boolean> {
    try {
      return (await realpath(path)).startsWith(this.root + sep);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      const shown = path.slice(this.root.length + 1);
      throw fieldError('unprocessable', 'script', `${shown} is not in the repository`, {
        cause: error,
      });
    }
  }
}

/** Yields the regular files below a folder in the order of their names; links are not followed. */
export async function* filesBelow(folder: string, under = ''): AsyncGenerator<ResultFile> {
  let names: string[];
  try {
    names = (await readdir(join(folder, under))).sort();
  } catch (error) {
    // Reported like a result file that cannot be read.
    const cannot = () => {
      throw error;
    };
    yield { path: under === '' ? '?' : under, size: 0, open: () => Promise.resolve().then(cannot) };
    return;
  }
  for (const name of names) {
    const path = under === '' ? name : `${under}/${name}`;
    const stats = await lstat(join(folder, path));
    if (stats.isDirectory()) yield* filesBelow(folder, path);
    else if (stats.isFile())
      yield {
        path,
        size: stats.size,
        open: () => Promise.resolve(createReadStream(join(folder, path)) as AsyncIterable<Buffer>),
      };
  }
}

function noneIfGone(error: unknown): undefined {
  if (errnoOf(error) !== 'ENOENT') throw error;
}
