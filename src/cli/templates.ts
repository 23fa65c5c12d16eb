import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { errnoOf } from '../errors.js';
import { commandKeyPattern, keysIn } from '../jobs/templates/library.js';
import type { TemplateProblem } from '../jobs/templates/problem.js';
import { TemplateReader } from '../jobs/templates/read-template.js';
import { CliError } from './cli-error.js';
import { plain, say } from './terminal.js';

/**
 * Checks templates and prints each problem and warning with its file, line and field.
 * @param folder of one template, or of several
 * @returns whether all of them can be used
 */
export async function checkTemplates(folder: string): Promise<boolean> {
  const { parent, keys, misnamed } = await templatesIn(resolve(folder));
  const reader = new TemplateReader();
  const counts = { problems: misnamed.length, warnings: 0 };
  for (const name of misnamed)
    say(`${plain(name)}: not a command key: expected a lower-case letter, then a-z, 0-9, _ and -`);
  for (const key of keys) {
    const { problems, warnings } = await reader.read(join(parent, key), key);
    for (const problem of problems) say(line(key, problem));
    for (const warning of warnings) say(line(key, warning, 'warning: '));
    if (problems.length === 0 && warnings.length === 0) say(`${key}: ok`);
    counts.problems += problems.length;
    counts.warnings += warnings.length;
  }
  const total = [`${keys.length + misnamed.length} template(s)`];
  say([...total, `${counts.problems} problem(s)`, `${counts.warnings} warning(s)`].join(', '));
  return counts.problems === 0;
}

async function templatesIn(
  folder: string,
): Promise<{ parent: string; keys: string[]; misnamed: string[] }> {
  try {
    const entries = await readdir(folder);
    const isTemplate = entries.includes('template.json') || entries.includes('job.sh');
    const parent = isTemplate ? dirname(folder) : folder;
    const names = isTemplate ? [basename(folder)] : entries;
    const keys = isTemplate
      ? names.filter((name) => commandKeyPattern.test(name))
      : await keysIn(folder);
    const misnamed = names.filter(
      (name) => !commandKeyPattern.test(name) && existsSync(join(parent, name, 'template.json')),
    );
    if (keys.length + misnamed.length > 0)
      return { parent, keys: keys.toSorted(), misnamed: misnamed.toSorted() };
  } catch (error) {
    throw new CliError(`${folder}: cannot be read (${errnoOf(error) ?? String(error)})`);
  }
  throw new CliError(
    `${folder} holds no template: a template is a folder with template.json and job.sh`,
  );
}

function line(key: string, { file, line, field, message }: TemplateProblem, kind = ''): string {
  const place = [file === undefined ? key : `${key}/${file}`, line].filter(
    (one) => one !== undefined,
  );
  const named = field === undefined ? '' : `${field}: `;
  return plain(`${place.join(':')}: ${kind}${named}${message}`);
}
