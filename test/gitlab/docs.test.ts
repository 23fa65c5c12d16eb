import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execa } from 'execa';
import type { Project } from './api.js';
import { GitLabStandIn } from './stand-in.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(root, 'docs', 'gitlab-scanner.md'), 'utf8');

let gitlab: GitLabStandIn;
let plain: Project;
let work: string;

/**
 * Returns all code blocks of a language, with the stand-in's URL and token instead of the page's.
 */
function blocks(language: string): string[] {
  const found = page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'));
  return [...found].map(([, block = '']) =>
    block
      .replaceAll('YOUR_GITLAB_TOKEN', gitlab.token)
      .replaceAll('https://gitlab.example.com', gitlab.url),
  );
}

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'jr-gitlab-docs-'));
  const shim = join(work, 'jobrunner');
  writeFileSync(
    shim,
    `#!/bin/sh\nexec ${process.execPath} ${join(root, 'dist', 'main.js')} "$@"\n`,
  );
  chmodSync(shim, 0o755);
  gitlab = await GitLabStandIn.start();
  const [manifest = ''] = blocks('yaml');
  await gitlab.addProject({ path: 'group/one', files: { 'gpu_jobs/manifest.yaml': manifest } });
  plain = await gitlab.addProject({ path: 'group/two' });
});

afterAll(async () => {
  await gitlab.close();
  rmSync(work, { recursive: true, force: true });
});

test('every command of the page runs as written', async () => {
  const { stdout } = await execa('bash', ['-euo', 'pipefail'], {
    input: blocks('bash').join('\n'),
    cwd: work,
    extendEnv: false,
    env: { PATH: `${work}:${process.env['PATH']}` },
  });
  expect(stdout).toContain('"branch": "main"');
  expect(stdout).toContain('Found 2 available jobs\njob_001 of one\njob_002 of one');
  await expect(gitlab.read(plain, 'test.txt')).resolves.toBe('Hello, World!');
  await expect(gitlab.read(plain, 'config.yaml')).resolves.toBe('a: 1\n');
  await expect(gitlab.read(plain, 'docs/ABOUT.md')).resolves.toBe('# My Project');
});

test('the program of the page runs, too', async () => {
  const [program = ''] = blocks('js');
  const index = join(root, 'dist', 'index.js');
  writeFileSync(join(work, 'use.mjs'), program.replace("from 'jobrunner'", `from '${index}'`));
  const env = { GITLAB_TOKEN: gitlab.token };
  const { stdout } = await execa(process.execPath, ['use.mjs'], { cwd: work, env });
  expect(stdout).toMatch(/^Job job_001 in project one: http.*manifest\.yaml\nJob job_002/);
});
