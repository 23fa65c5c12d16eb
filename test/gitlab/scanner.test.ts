import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { GitLabClient } from '../../src/ingest/gitlab/client.js';
import { ProjectScanner, type ScannedProject } from '../../src/ingest/gitlab/scanner.js';
import type { Project } from './api.js';
import { FakeClock } from './fake-clock.js';
import { GitLabStandIn } from './stand-in.js';

let gitlab: GitLabStandIn;
let clock: FakeClock;
let scanner: ProjectScanner;

const manifest = (...ids: string[]) =>
  `version: 1\njobs:\n${ids.map((id) => `  - {job_id: ${id}, job_type: training}\n`).join('')}`;
const withManifest = (...ids: string[]) => ({ 'gpu_jobs/manifest.yaml': manifest(...ids) });

beforeEach(async () => {
  gitlab = await GitLabStandIn.start();
  clock = new FakeClock();
  scanner = open();
});

afterEach(async () => {
  await gitlab.close();
});

function open(options: Partial<ConstructorParameters<typeof ProjectScanner>[0]> = {}) {
  const client = new GitLabClient({ url: gitlab.url, token: gitlab.token, clock, maxRetries: 2 });
  return new ProjectScanner({ client, ...options });
}

async function scan(): Promise<Map<string, ScannedProject>> {
  const found = new Map<string, ScannedProject>();
  for await (const scanned of scanner.scan()) found.set(scanned.project.path, scanned);
  return found;
}

const jobsOf = (scanned: ScannedProject | undefined) =>
  scanned?.found?.manifest.jobs.map(({ id }) => [id, scanned.found?.responses.has(id)]);

/** Returns the requests since the last call. */
function requests(): number {
  return gitlab.requests.splice(0).length;
}

const push = (project: Project, files: Record<string, string | null>) =>
  gitlab.commit(project, files);

test('jobs and their claims are found in all projects that have jobs', async () => {
  await gitlab.addProject({
    path: 'group/a',
    files: { ...withManifest('j1', 'j2'), 'gpu_jobs/job_j2/response.yaml': 'x' },
  });
  await gitlab.addProject({ path: 'group/b' });
  const found = await scan();
  expect(jobsOf(found.get('group/a'))).toEqual([
    ['j1', false],
    ['j2', true],
  ]);
  expect(found.get('group/b')).toMatchObject({ found: undefined, problems: [] });
});

test('a file beside response.yaml, or in a folder with another name, claims nothing', async () => {
  await gitlab.addProject({
    path: 'group/a',
    files: {
      ...withManifest('j1'),
      'gpu_jobs/job_j1/response.yaml.bak': 'x',
      'gpu_jobs/job_j10/response.yaml': 'x',
      'gpu_jobs/job_j1/sub/response.yaml': 'x',
    },
  });
  expect(jobsOf((await scan()).get('group/a'))).toEqual([['j1', false]]);
});

describe('a project costs', () => {
  let project: Project;
  /** The list of projects: one page, and an empty page after it. */
  const list = 2;

  beforeEach(async () => {
    project = await gitlab.addProject({ path: 'group/a', files: withManifest('j1') });
    await scan();
    requests();
  });

  test('one request while its branch does not move', async () => {
    const { isUnchanged } = (await scan()).get('group/a') ?? {};
    expect(isUnchanged).toBe(true);
    expect(requests()).toBe(list + 1);
  });

  test('two when its branch has moved', async () => {
    await push(project, { 'gpu_jobs/job_j1/response.yaml': 'claimed' });
    expect(jobsOf((await scan()).get('group/a'))).toEqual([['j1', true]]);
    expect(requests()).toBe(list + 2);
  });

  test('two when its manifest has changed', async () => {
    await push(project, withManifest('j1', 'j3'));
    expect(jobsOf((await scan()).get('group/a'))).toEqual([
      ['j1', false],
      ['j3', false],
    ]);
    expect(requests()).toBe(list + 2);
  });

  test('one when it has no manifest', async () => {
    await push(project, { 'gpu_jobs/manifest.yaml': null });
    expect((await scan()).get('group/a')).toMatchObject({ found: undefined, problems: [] });
    expect(requests()).toBe(list + 1);
  });

  test('none when the settings do not name it', async () => {
    await gitlab.addProject({ path: 'other/b', files: withManifest('j2') });
    await gitlab.addProject({ path: 'Group/sub/C', files: withManifest('j4') });
    const named = async (...projects: string[]) => {
      scanner = open({ projects });
      requests();
      const paths = [...(await scan()).keys()].sort();
      expect(requests()).toBe(list + 2 * paths.length);
      return paths;
    };
    await expect(named('group/*')).resolves.toEqual(['group/a']);
    await expect(named('group/**')).resolves.toEqual(['Group/sub/C', 'group/a']);
    await expect(named('other/b', '1')).resolves.toEqual(['group/a', 'other/b']);
  });
});

describe('a problem of one project is reported, and the others are scanned', () => {
  beforeEach(async () => {
    await gitlab.addProject({ path: 'group/good', files: withManifest('j1') });
  });

  const problem = async (path: string) => {
    const found = await scan();
    expect(jobsOf(found.get('group/good'))).toEqual([['j1', false]]);
    return found.get(path)?.problems.join('; ');
  };

  test.each([
    ['archived', { archived: true, files: withManifest('j2') }, 'archived'],
    ['empty', { repository: 'empty' as const }, 'is empty'],
    ['no repository', { repository: 'none' as const }, 'switched off'],
    [
      'not YAML',
      { files: { 'gpu_jobs/manifest.yaml': 'jobs: [' } },
      'gpu_jobs/manifest.yaml: not YAML',
    ],
    [
      'newer version',
      { files: { 'gpu_jobs/manifest.yaml': 'version: 2' } },
      'gpu_jobs/manifest.yaml: version: ',
    ],
    [
      'bad job',
      { files: { 'gpu_jobs/manifest.yaml': 'version: 1\njobs: [{job_id: ../x}]' } },
      'jobs[0]: job_id: ',
    ],
  ])('%s', async (_, options, message) => {
    await gitlab.addProject({ path: 'group/bad', ...options });
    await expect(problem('group/bad')).resolves.toContain(message);
  });

  test('no default branch', async () => {
    const project = await gitlab.addProject({ path: 'group/bad', repository: 'none' });
    const { repository } = gitlab.projects.get(1) ?? {};
    gitlab.projects.set(2, { ...project, repository, defaultBranch: null });
    await expect(problem('group/bad')).resolves.toContain('is empty');
  });

  test.each([
    [403, '{"message":"403 Forbidden"}', '403: 403 Forbidden'],
    [404, '{"message":"404 Project Not Found"}', '404: 404 Project Not Found'],
    [500, '{"message":"500 Internal Server Error"}', '500: 500 Internal Server Error'],
    [200, '<html></html>', 'JSON'],
  ])('%d from one project', async (status, body, message) => {
    await gitlab.addProject({ path: 'group/bad', files: withManifest('j2') });
    gitlab.fail({ url: /projects\/2\//, times: 99 }, { kind: 'answer', status, body });
    await expect(problem('group/bad')).resolves.toContain(message);
  });

  test('earlier findings do not replace the present ones', async () => {
    const bad = await gitlab.addProject({ path: 'group/bad', files: withManifest('j2') });
    await scan();
    await push(bad, { 'gpu_jobs/manifest.yaml': 'version: 7' });
    await expect(problem('group/bad')).resolves.toContain('version: ');
    await push(bad, withManifest('j3'));
    expect(jobsOf((await scan()).get('group/bad'))).toEqual([['j3', false]]);
  });
});

describe('the scan ends when', () => {
  beforeEach(async () => {
    for (let i = 0; i < 12; i++)
      await gitlab.addProject({ path: `group/p${i}`, repository: 'none' });
    for (const project of gitlab.projects.values())
      gitlab.projects.set(project.id, { ...project, defaultBranch: 'main' });
    const { repository } = await gitlab.addProject({
      path: 'group/real',
      files: withManifest('j'),
    });
    for (const project of gitlab.projects.values())
      gitlab.projects.set(project.id, { ...project, repository });
  });

  test('GitLab rejects the token', async () => {
    const body = '{"message":"401 Unauthorized"}';
    gitlab.fail({ url: /projects\/3\// }, { kind: 'answer', status: 401, body });
    await expect(scan()).rejects.toMatchObject({ name: 'GitLabAuthenticationError', status: 401 });
  });

  test('GitLab is unreachable, without a wait for each project', async () => {
    gitlab.fail({ url: /projects\/\d+\//, times: 9999 }, { kind: 'reset' });
    await expect(scan()).rejects.toMatchObject({ name: 'GitLabConnectionError' });
    expect(requests()).toBeLessThan(12 * 3);
  });

  test('a page of the list fails', async () => {
    gitlab.fail(
      { url: /projects\?/, times: 99 },
      { kind: 'answer', status: 502, body: 'Bad gateway' },
    );
    await expect(scan()).rejects.toMatchObject({ name: 'GitLabConnectionError', status: 502 });
  });

  test('its reader stops or a signal fires; no request follows', async () => {
    const reader = scanner.scan();
    await reader.next();
    await reader.return(undefined);
    const before = gitlab.requests.length;
    const stopping = new AbortController();
    const reason = new Error('stopped');
    await expect(
      (async () => {
        for await (const { project } of scanner.scan(stopping.signal))
          if (project.id > 0) stopping.abort(reason);
      })(),
    ).rejects.toBe(reason);
    expect(before).toBeLessThan(2 + 2 * 13);
    expect(gitlab.requests.length - before).toBeLessThan(2 + 2 * 13);
    // Earlier findings are still complete.
    expect((await scan()).size).toBe(13);
  });
});

test('a slow page of the list does not delay projects of earlier pages', async () => {
  await gitlab.addProject({ path: 'group/a', files: withManifest('j1') });
  let answer = () => {};
  const until = new Promise<void>((resolve) => (answer = resolve));
  gitlab.fail({ url: /id_after/ }, { kind: 'slow', until });
  const found: string[] = [];
  for await (const { project } of scanner.scan()) {
    found.push(project.path);
    answer();
  }
  expect(found).toEqual(['group/a']);
});
