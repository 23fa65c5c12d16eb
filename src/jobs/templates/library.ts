import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, fieldError } from '../../errors.js';
import { templateFileSchema, type Template } from './template.js';

const keyPattern = /^[a-z][a-z0-9_-]{0,63}$/;

/**
 * The templates in the given folders; a later folder overrides an earlier one with the same key.
 * Each call reads them anew, so that a new template needs nothing but its folder.
 */
export class TemplateLibrary {
  readonly #folders: readonly string[];

  constructor(folders: readonly string[]) {
    this.#folders = folders;
  }

  /** Lists every command key, sorted. */
  async keys(): Promise<string[]> {
    const lists = await Promise.all(this.#folders.map(subfolders));
    return [...new Set(lists.flat())].sort();
  }

  /**
   * Reads a template.
   * @throws AppError not_found with the available keys; unprocessable when its files are broken
   */
  async get(commandKey: string): Promise<Template> {
    const keys = await this.keys();
    if (!keys.includes(commandKey))
      throw fieldError(
        'not_found',
        'command_key',
        `unknown template ${JSON.stringify(commandKey.slice(0, 64))}; available: ${keys.join(', ')}`,
        { details: { command_keys: keys } },
      );
    for (const folder of [...this.#folders].reverse()) {
      if ((await subfolders(folder)).includes(commandKey)) return readTemplate(folder, commandKey);
    }
    throw fieldError('not_found', 'command_key', `${commandKey} has just been removed`);
  }
}

async function subfolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => !entry.isFile() && keyPattern.test(entry.name))
    .map((entry) => entry.name);
}

async function readTemplate(parent: string, commandKey: string): Promise<Template> {
  const folder = join(parent, commandKey);
  try {
    const text = await readFile(join(folder, 'template.json'), 'utf8');
    const file = templateFileSchema.parse(JSON.parse(text));
    const body = await readFile(join(folder, 'job.sh'), 'utf8');
    return { ...file, commandKey, folder, body };
  } catch (cause) {
    const why = errnoOf(cause) === 'ENOENT' ? 'a file is missing' : 'template.json cannot be read';
    throw fieldError(
      'unprocessable',
      'command_key',
      `the template ${commandKey} is broken: ${why}`,
      { cause },
    );
  }
}
