import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execa } from 'execa';
import type { Project } from './api.js';
import { GitLabStandIn } from './stand-in.js';

const mainJs = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

let gitlab: GitLabStandIn;
let work: string;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'jr-gitlab-cli-'));
  gitlab = await GitLabStandIn.start();
  await gitlab.addProject({
    path: 'namespace/project',
    files: {
      'gpu_jobs/manifest.yaml': [
        'version: 1',
        'jobs:',
        '  - {job_id: "job_001", job_type: "training", mode: "finetune", epochs: 100, canceled: false}',
        '  - {job_id: "job_002", canceled: true}',
        '  - {job_id: "job_003"}',
        '  - {job_id: "job/4"}',
        '',
      ].join('\n'),
      'gpu_jobs/job_job_003/response.yaml': 'worker: a\n',
    },
  });
  await gitlab.addProject({ path: 'namespace/plain' });
  await gitlab.addProject({ path: 'namespace/empty', repository: 'empty' });
});

afterAll(async () => {
  await gitlab.close();
  rmSync(work, { recursive: true, force: true });
});

const env = () => ({
  PATH: process.env['PATH'],
  GITLAB_TOKEN: gitlab.token,
  JR_GITLAB_URL: gitlab.url,
});

/** The output never holds a token. */
async function run(args: string[], environment: Record<string, string | undefined> = env()) {
  const done = await execa(process.execPath, [mainJs, 'gitlab', ...args], {
    reject: false,
    extendEnv: false,
    env: environment,
    cwd: work,
  });
  expect(`${done.stdout}${done.stderr}`).not.toContain(gitlab.token);
  const { stdout, stderr, exitCode } = done;
  return { stdout, stderr, exitCode };
}

const manifestUrl = () => `${gitlab.url}/namespace/project/-/blob/main/gpu_jobs/manifest.yaml`;

test('list_available_jobs prints the jobs that are neither claimed nor canceled, and nothing else on stdout', async () => {
  const { stdout, stderr, exitCode } = await run(['list_available_jobs']);
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toEqual([
    {
      job_id: 'job_001',
      project_id: 1,
      project_name: 'project',
      project_url: manifestUrl(),
      job_data: {
        job_id: 'job_001',
        job_type: 'training',
        mode: 'finetune',
        epochs: 100,
        canceled: false,
      },
    },
  ]);
  expect(stderr).toContain('namespace/project: jobs[3]: job_id: ');
  expect(stderr).toContain('namespace/empty: ');
  expect(stderr).not.toContain('namespace/plain');
});

test('scan_all_projects prints every project, also when called with dashes', async () => {
  const { stdout, exitCode } = await run(['scan-all-projects', '--quiet']);
  expect(exitCode).toBe(0);
  const scanned = JSON.parse(stdout) as Record<string, unknown>[];
  expect(scanned).toHaveLength(3);
  expect(scanned[0]).toMatchObject({
    project_id: 1,
    project_name: 'project',
    project_path: 'namespace/project',
    default_branch: 'main',
    manifest_url: manifestUrl(),
    manifest_data: { version: 1 },
    jobs: [
      { job_id: 'job_001', is_claimed: false, canceled: false, mode: 'finetune' },
      { job_id: 'job_002', is_claimed: false, canceled: true },
      { job_id: 'job_003', is_claimed: true, canceled: false },
    ],
    error: expect.stringMatching(/^jobs\[3\]: job_id: /),
  });
  expect((scanned[0]?.['manifest_data'] as { jobs: unknown[] }).jobs).toHaveLength(4);
  const nothing = { manifest_url: null, manifest_data: null, jobs: [] };
  expect(scanned[1]).toMatchObject({ project_id: 2, ...nothing, error: null });
  expect(scanned[2]).toMatchObject({
    ...nothing,
    default_branch: null,
    error: expect.stringContaining('is empty'),
  });
});

test('--verbose names every project, --quiet none', async () => {
  const verbose = await run(['list_available_jobs', '--verbose']);
  expect(verbose.stderr).toContain('namespace/project: 3 jobs, 1 claimed');
  expect(verbose.stderr).toContain('namespace/plain: no manifest');
  const quiet = await run(['list_available_jobs', '--quiet']);
  expect(quiet.stderr).toBe('');
  expect(quiet.stdout).toBe(verbose.stdout);
});

describe('create_file', () => {
  const create = (...args: string[]) => run(['create_file', '--quiet', '--project-id=2', ...args]);
  const lastMessage = async () => {
    const { stdout } = await execa('git', ['log', '-1', '--format=%B', 'main'], {
      cwd: join(gitlab.folder, '2.git'),
    });
    return stdout.trim();
  };
  const read = (path: string) => gitlab.read(gitlab.projects.get(2) as Project, path);

  test('commits the given content, or a file of this machine, with a message', async () => {
    const { stdout, exitCode } = await create('--file-path=test.txt', '--content=Hello, World!');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ project_id: 2, file_path: 'test.txt', branch: 'main' });
    await expect(read('test.txt')).resolves.toBe('Hello, World!');
    await expect(lastMessage()).resolves.toBe('Create test.txt');
    writeFileSync(join(work, 'local.yaml'), 'a: ä\r\n');
    await create(
      '--file-path=c/config.yaml',
      '--file-source=./local.yaml',
      '--commit-message=First',
    );
    await expect(read('c/config.yaml')).resolves.toBe('a: ä\r\n');
    await expect(lastMessage()).resolves.toBe('First');
  });

  test('leaves an existing file unchanged', async () => {
    const { stdout, stderr, exitCode } = await create(
      '--file-path=README.md',
      '--content=# My Project',
    );
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
    expect(stderr).toMatch(/^jobrunner: GitLabFileExistsError: README.md: /);
    await expect(read('README.md')).resolves.toBe('a project\n');
  });

  test('needs exactly one source of content, and an existing file', async () => {
    for (const args of [[], ['--content=x', '--file-source=y']]) {
      const { stderr, exitCode } = await create('--file-path=x', ...args);
      expect(stderr).toMatch(/^jobrunner: .*--content.*--file-source/);
      expect(exitCode).toBe(1);
    }
    const { stderr } = await create('--file-path=x', '--file-source=/nowhere');
    expect(stderr).toMatch(/^jobrunner: \/nowhere: .*ENOENT/);
  });
});

describe('errors keep their documented names, and exit code 1:', () => {
  const failure = async (args: string[], environment?: Record<string, string | undefined>) => {
    const all = ['list_available_jobs', '--max-retries=0', ...args];
    const { stdout, stderr, exitCode } = await run(all, environment);
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
    return stderr;
  };

  test('no token', async () => {
    const stderr = await failure([], { JR_GITLAB_URL: gitlab.url });
    expect(stderr).toContain('NoTokenProvidedError: ');
  });

  test('a rejected token', async () => {
    const stderr = await failure(['--token=glpat-wrong']);
    expect(stderr).toContain('GitLabAuthenticationError: ');
    expect(stderr).not.toContain('glpat-wrong');
  });

  test('an unreachable GitLab', async () => {
    const stderr = await failure(['--gitlab-url=http://127.0.0.1:1']);
    expect(stderr).toContain('GitLabConnectionError: ');
  });
});

test('a token disappears from the command line once it is read, and Ctrl-C ends the command silently', async () => {
  gitlab.requests.length = 0;
  gitlab.fail({ url: /projects\?/ }, { kind: 'slow', until: new Promise(() => {}) });
  const args = [mainJs, 'gitlab', 'list_available_jobs', `--token=${gitlab.token}`];
  const child = execa(process.execPath, args, {
    reject: false,
    extendEnv: false,
    env: { PATH: process.env['PATH'], JR_GITLAB_URL: gitlab.url },
  });
  await gitlab.received('GET /api/v4/projects?');
  const shown = readFileSync(`/proc/${child.pid}/cmdline`, 'utf8');
  expect(shown).toContain('jobrunner gitlab');
  expect(shown).not.toContain(gitlab.token);
  child.kill('SIGINT');
  const { exitCode, stdout, stderr } = await child;
  expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 130, stdout: '', stderr: '' });
});

test('the scanner can be imported from the packed package, with its types', async () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const { stdout } = await execa('npm', ['pack', '--silent', '--pack-destination', work], {
    cwd: root,
  });
  const packages = join(work, 'node_modules');
  const home = join(packages, 'jobrunner');
  await execa('mkdir', ['-p', home]);
  await execa('tar', ['-xzf', join(work, stdout.trim()), '--strip-components=1', '-C', home]);
  await execa('ln', ['-s', join(root, 'node_modules'), join(home, 'node_modules')]);
  writeFileSync(
    join(work, 'use.mts'),
    `import { GitLabJobScanner, GitLabAuthenticationError, type AvailableJob } from 'jobrunner';
     const scanner = new GitLabJobScanner({ token: process.argv[2], gitlabUrl: ${JSON.stringify(gitlab.url)} });
     const jobs: AvailableJob[] = await scanner.listAvailableJobs();
     const wrong = new GitLabJobScanner({ token: 'wrong', gitlabUrl: ${JSON.stringify(gitlab.url)} });
     const error: unknown = await wrong.scanAllProjects().catch((e: unknown) => e);
     console.log(jobs.map((job) => job.job_id).join(), error instanceof GitLabAuthenticationError);\n`,
  );
  const types = join(root, 'node_modules', '@types');
  await execa(
    process.execPath,
    [
      join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
      ...['--module', 'nodenext', '--target', 'es2023', '--strict', '--skipLibCheck'],
      ...['--types', 'node', '--typeRoots', types, 'use.mts'],
    ],
    { cwd: work },
  );
  const used = await execa(process.execPath, ['use.mjs', gitlab.token], { cwd: work });
  expect(used.stdout).toBe('job_001 true');
});
