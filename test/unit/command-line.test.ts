import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execa } from 'execa';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'jr-check-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function jobrunner(...args: string[]) {
  const options = { reject: false, env: { PATH: process.env['PATH'] ?? '' }, extendEnv: false };
  const { exitCode, stdout, stderr } = await execa(
    process.execPath,
    ['dist/main.js', ...args],
    options,
  );
  return { code: exitCode, out: stdout.split('\n'), err: stderr };
}

function make(key: string, json: string, script = 'true'): string {
  const path = join(folder, key);
  mkdirSync(path);
  writeFileSync(join(path, 'template.json'), json);
  writeFileSync(join(path, 'job.sh'), script);
  return path;
}

describe('a mistyped word on the command line is told with the one that was meant', () => {
  test.each([
    [['tempalte'], 'template'],
    [['template', 'chek'], 'check'],
    [['jobs', '--stat', 'RUNNING'], '--state'],
  ])('%j', async (args, meant) => {
    const { code, err } = await jobrunner(...args);
    expect(code).toBe(2);
    expect(err).toContain(`(Did you mean ${meant}?)`);
  });
});

test('template check tells file, line and field of each mistake, and exits with 1', async () => {
  const good = make('good', '{"description": "x"}');
  make('broken', '{\n"description": 1}', 'true\nfi\n');
  make('quoted', '{"description": "x", "args": "optional"}', 'echo "{{args}}"');
  make('Upper', '{"description": "x"}');
  mkdirSync(join(folder, '.git'));
  expect(await jobrunner('template', 'check', folder)).toEqual({
    code: 1,
    out: [
      'Upper: not a command key: expected a lower-case letter, then a-z, 0-9, _ and -',
      'broken/template.json:2: description: expected a text that says what the template does',
      "broken/job.sh:2: bash: syntax error near unexpected token `fi'",
      'good: ok',
      'quoted/job.sh:1: warning: {{args}}: stands in quotes, where bash runs commands that its value holds; it is a quoted word already: write it alone, or assign it to a variable first',
      '4 template(s), 3 problem(s), 1 warning(s)',
    ],
    err: '',
  });
  expect(await jobrunner('template', 'check', good)).toMatchObject({
    code: 0,
    out: ['good: ok', '1 template(s), 0 problem(s), 0 warning(s)'],
  });
});

test('template check refuses a folder without templates', async () => {
  for (const path of [join(folder, '.git'), join(folder, 'nowhere')]) {
    const { code, err } = await jobrunner('template', 'check', path);
    expect(code).toBe(1);
    expect(err).toContain(path);
  }
});
