import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { errnoOf, fieldError } from '../../errors.js';
import { didYouMean } from '../../schema-problems.js';
import { problemText } from './problem.js';
import { TemplateReader, type TemplateReading } from './read-template.js';
import type { Template } from './template.js';

export const commandKeyPattern = /^[a-z][a-z0-9_-]{0,63}$/;

/** Templates that are read at a time: each starts a process once. */
const readAtOnce = 4;

export interface ListedTemplate extends TemplateReading {
  /** Whether a template of JR_TEMPLATES stands in place of a built-in one. */
  replacesBuiltIn: boolean;
}

export interface TemplateList {
  templates: ListedTemplate[];
  /** Why the folder of JR_TEMPLATES is not used. */
  folderProblem: string | undefined;
}

/**
 * The built-in templates, and those of JR_TEMPLATES, which override a built-in one with the same
 * key. Each call reads them anew, so that a new template needs nothing but its folder.
 */
export class TemplateLibrary {
  readonly #builtIn: string;
  readonly #own: string | undefined;
  readonly #reader = new TemplateReader();

  /** @param own the folder of JR_TEMPLATES, which may not exist yet */
  constructor(builtIn: string, own: string | undefined) {
    this.#builtIn = builtIn;
    this.#own = own;
  }

  /** Reads every template, sorted by command key; a broken one has its problems. */
  async list(): Promise<TemplateList> {
    const { builtIn, own, folderProblem } = await this.#keys();
    const atOnce = pLimit(readAtOnce);
    const keys = [...new Set([...builtIn, ...own])].sort();
    const templates = await Promise.all(
      keys.map((key) =>
        atOnce(async () => ({
          ...(await this.#read(key, own)),
          replacesBuiltIn: own.includes(key) && builtIn.includes(key),
        })),
      ),
    );
    return { templates, folderProblem };
  }

  /** Lists every command key, sorted. */
  async keys(): Promise<string[]> {
    const { builtIn, own } = await this.#keys();
    return [...new Set([...builtIn, ...own])].sort();
  }

  /**
   * Reads a template.
   * @throws AppError not_found with the available keys; unprocessable when its files are broken
   */
  async get(commandKey: string): Promise<Template> {
    const { builtIn, own, folderProblem } = await this.#keys();
    const keys = [...new Set([...builtIn, ...own])].sort();
    if (!keys.includes(commandKey)) {
      const meant = didYouMean(commandKey, keys);
      const why = folderProblem === undefined ? '' : `; ${folderProblem}`;
      throw fieldError(
        'not_found',
        'command_key',
        `unknown template ${JSON.stringify(commandKey.slice(0, 64))}${meant}; available: ${keys.join(', ')}${why}`,
        { details: { command_keys: keys } },
      );
    }
    const { template, problems } = await this.#read(commandKey, own);
    if (template !== undefined) return template;
    throw fieldError(
      'unprocessable',
      'command_key',
      `the template ${commandKey} is broken: ${problems.map(problemText).join('; ')}`,
      { details: { problems } },
    );
  }

  /** Returns facts about JR_TEMPLATES that an operator should hear of at the start. */
  async notices(): Promise<string[]> {
    const { builtIn, own, folderProblem } = await this.#keys();
    return [
      ...(folderProblem === undefined ? [] : [folderProblem]),
      ...own
        .filter((key) => builtIn.includes(key))
        .map((key) => `JR_TEMPLATES: its template ${key} replaces the built-in one`),
    ];
  }

  #read(key: string, own: readonly string[]): Promise<TemplateReading> {
    const parent = own.includes(key) && this.#own !== undefined ? this.#own : this.#builtIn;
    return this.#reader.read(join(parent, key), key);
  }

  async #keys(): Promise<{
    builtIn: string[];
    own: string[];
    folderProblem: string | undefined;
  }> {
    const builtIn = await keysIn(this.#builtIn);
    if (this.#own === undefined) return { builtIn, own: [], folderProblem: undefined };
    try {
      return { builtIn, own: await keysIn(this.#own), folderProblem: undefined };
    } catch (error) {
      const code = errnoOf(error);
      if (code === undefined) throw error;
      const why =
        code === 'ENOENT'
          ? 'its folder does not exist; it counts as soon as it does'
          : `its folder cannot be read by the service (${code})`;
      return { builtIn, own: [], folderProblem: `JR_TEMPLATES: ${why}` };
    }
  }
}

/** Lists the command keys in a folder of templates. */
export async function keysIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => !entry.isFile() && commandKeyPattern.test(entry.name))
    .map((entry) => entry.name);
}
