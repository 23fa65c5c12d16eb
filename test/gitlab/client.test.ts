import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { GitLabClient } from '../../src/ingest/gitlab/client.js';
import { NoTokenProvidedError } from '../../src/ingest/gitlab/errors.js';
import type { Project } from './api.js';
import { FakeClock } from './fake-clock.js';
import { failureOf } from './failure.js';
import type { Fault } from './faults.js';
import { GitLabStandIn } from './stand-in.js';

let gitlab: GitLabStandIn;
let clock: FakeClock;
let client: GitLabClient;
let project: Project;

const anyFile = { url: /\/files\// };

beforeEach(async () => {
  gitlab = await GitLabStandIn.start();
  clock = new FakeClock();
  client = open();
  project = await gitlab.addProject({ path: 'group/project', files: { 'a/b c.txt': 'hello\n' } });
});

afterEach(async () => {
  await gitlab.close();
});

function open(options: Partial<ConstructorParameters<typeof GitLabClient>[0]> = {}): GitLabClient {
  return new GitLabClient({ url: gitlab.url, token: gitlab.token, clock, ...options });
}

async function listed(): Promise<string[]> {
  const paths: string[] = [];
  for await (const { path } of client.projects()) paths.push(path);
  return paths;
}

const failure = (work: Promise<unknown>) => failureOf(work, gitlab.token);

describe('reading', () => {
  test('all projects are listed, over several pages, with their fields', async () => {
    for (let i = 2; i <= 101; i++)
      gitlab.projects.set(i, { ...project, id: i, path: `group/p${i}` });
    gitlab.projects.set(102, { ...project, id: 102, path: 'group/hidden', hidden: true });
    const paths = await listed();
    expect(paths).toHaveLength(101);
    expect(new Set(paths).size).toBe(101);
    expect(gitlab.requests[1]).toContain('id_after=100');
    expect(gitlab.requests[0]).toBe(
      'GET /api/v4/projects?pagination=keyset&order_by=id&sort=asc&per_page=100',
    );
  });

  test('a file comes with its commits', async () => {
    const commit = await gitlab.commit(project, { 'other.txt': 'x' });
    const file = await client.readFile(project.id, 'a/b c.txt', 'HEAD');
    expect(file?.content.toString()).toBe('hello\n');
    expect(file?.commitId).toBe(commit);
    expect(file?.lastCommitId).toBe(await project.repository?.commitOf(`${commit}~1`));
    await expect(client.lastCommit(project.id, 'main')).resolves.toBe(commit);
  });

  test('a missing file is no error; a missing or hidden project is one', async () => {
    const empty = await gitlab.addProject({ path: 'g/empty', repository: 'empty' });
    const hidden = await gitlab.addProject({ path: 'g/hidden', hidden: true });
    await expect(client.readFile(project.id, 'no', 'HEAD')).resolves.toBeUndefined();
    await expect(client.readFile(empty.id, 'no', 'HEAD')).resolves.toBeUndefined();
    await expect(client.lastCommit(project.id, 'no')).resolves.toBeUndefined();
    expect(await failure(client.readFile(hidden.id, 'no', 'HEAD'))).toMatchObject({
      name: 'GitLabNotFoundError',
      status: 404,
    });
    expect(await failure(client.project(999))).toMatchObject({ status: 404 });
    expect(clock.slept).toEqual([]);
  });

  test('a 404 without GitLab’s own message does not mean a missing file', async () => {
    gitlab.fail(anyFile, { kind: 'answer', status: 404, body: '<html>nginx</html>' });
    expect(await failure(client.readFile(project.id, 'a', 'HEAD'))).toMatchObject({ status: 404 });
  });

  test('a folder is listed whole, over several pages, and a missing one is empty', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 120 }, (_, i) => [`gpu_jobs/job_${i}/response.yaml`, 'x']),
    );
    const commit = await gitlab.commit(project, files);
    const paths: string[] = [];
    for await (const { path, type } of client.tree(project.id, 'gpu_jobs', commit))
      if (type === 'blob') paths.push(path);
    expect(paths.sort()).toEqual(Object.keys(files).sort());
    for await (const entry of client.tree(project.id, 'none', commit))
      throw new Error(`${entry.path} should not be there`);
  });
});

describe('a temporary failure is retried', () => {
  const passing: [string, Fault][] = [
    ['429 with a plain text', { kind: 'answer', status: 429, body: 'Retry later\n' }],
    ['500', { kind: 'answer', status: 500, body: '{"message":"500 Internal Server Error"}' }],
    ['502 with a page', { kind: 'answer', status: 502, body: '<html>Bad gateway</html>' }],
    ['409', { kind: 'answer', status: 409, body: '{"message":"409 Conflict: Resource lock"}' }],
    ['a reset connection', { kind: 'reset' }],
    ['a reply that is cut off', { kind: 'half' }],
  ];

  test.each(passing)('%s: after 1 s, 2 s, 4 s', async (_, fault) => {
    gitlab.fail({ url: /branches/, times: 3 }, fault);
    await expect(client.lastCommit(project.id, 'main')).resolves.toMatch(/^[0-9a-f]{40}$/);
    expect(clock.slept).toEqual([1000, 2000, 4000]);
  });

  test('ten times, at most a minute apart, and then no more', async () => {
    gitlab.fail({ times: 99 }, { kind: 'answer', status: 503, body: 'Service Unavailable' });
    expect(await failure(client.project(1))).toMatchObject({
      name: 'GitLabConnectionError',
      status: 503,
    });
    expect(clock.slept.map((ms) => ms / 1000)).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    expect(gitlab.requests).toHaveLength(11);
  });

  test('as often as the settings say', async () => {
    gitlab.fail({ times: 99 }, { kind: 'reset' });
    const error = await failure(open({ maxRetries: 2 }).project(1));
    expect(error.name).toBe('GitLabConnectionError');
    expect(error.message).toContain(new URL(gitlab.url).origin);
    expect(gitlab.requests).toHaveLength(3);
    gitlab.fail({}, { kind: 'reset' });
    await failure(open({ maxRetries: 0 }).project(1));
    expect(gitlab.requests).toHaveLength(4);
  });

  test.each([
    ['seconds', { 'retry-after': '17' }, 17_000],
    [
      'a date',
      { date: 'Thu, 01 Jan 2026 10:00:00 GMT', 'retry-after': 'Thu, 01 Jan 2026 10:00:30 GMT' },
      30_000,
    ],
    [
      'the end of the limit’s period by the server’s clock',
      {
        date: 'Thu, 01 Jan 2026 10:00:00 GMT',
        'ratelimit-reset': String(Date.parse('2026-01-01T10:00:45Z') / 1000),
      },
      45_000,
    ],
    ['no time, so one second,', { 'retry-after': '0' }, 1000],
  ])('after the wait of a 429 that names %s', async (_, headers, ms) => {
    gitlab.fail({}, { kind: 'answer', status: 429, body: 'Retry later\n', headers });
    await client.project(1);
    expect(clock.slept.reduce((sum, each) => sum + each, 0)).toBe(ms);
  });

  test('after an exhausted limit, which also delays the next request', async () => {
    const date = 'Thu, 01 Jan 2026 10:00:00 GMT';
    const reset = String(Date.parse('2026-01-01T10:00:20Z') / 1000);
    const headers = { date, 'ratelimit-remaining': '0', 'ratelimit-reset': reset };
    gitlab.fail({}, { kind: 'answer', status: 200, body: '[]', headers });
    await listed();
    expect(clock.slept).toEqual([]);
    await client.project(1);
    expect(clock.slept).toEqual([20_000]);
  });

  test('not at all if GitLab asks for more than an hour', async () => {
    gitlab.fail({}, { kind: 'answer', status: 429, body: '', headers: { 'retry-after': '7200' } });
    expect((await failure(client.project(1))).message).toMatch(/\b120 min/);
    expect(clock.slept).toEqual([]);
  });

  test('after a late reply', async () => {
    let answer = () => {};
    const until = new Promise<void>((resolve) => (answer = resolve));
    gitlab.fail({}, { kind: 'slow', until });
    await expect(open({ timeoutMs: 3000 }).project(1)).resolves.toMatchObject({ id: 1 });
    answer();
    expect(clock.slept).toEqual([1000]);
  });
});

describe('a permanent failure is not retried', () => {
  test.each([
    [401, 'GitLabAuthenticationError'],
    [403, 'GitLabAuthenticationError'],
    [404, 'GitLabNotFoundError'],
    [400, 'GitLabError'],
    [405, 'GitLabError'],
    [422, 'GitLabError'],
  ])('%d', async (status, name) => {
    const body = JSON.stringify({ message: `${status} no, ${gitlab.token}\u001b[31m\nis wrong` });
    gitlab.fail({}, { kind: 'answer', status, body });
    const error = await failure(client.project(1));
    const words = `${status} no, [token] [31m is wrong`;
    expect(error).toMatchObject({ name, status, words });
    expect(error.message).toContain(words);
    expect(gitlab.requests).toHaveLength(1);
  });

  test('a wrong token', async () => {
    expect(await failure(open({ token: 'wrong' }).project(1))).toMatchObject({
      name: 'GitLabAuthenticationError',
      status: 401,
    });
  });

  test('an untrusted certificate', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'jr-gitlab-tls-'));
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const self = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    const files = ['-keyout', key, '-out', cert, '-nodes', '-subj', '/CN=localhost'];
    await execa('openssl', [...self, ...files, '-addext', 'subjectAltName=IP:127.0.0.1']);
    const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) });
    rmSync(folder, { recursive: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const error = await failure(open({ url }).project(1));
      expect(error).toMatchObject({ name: 'GitLabConnectionError', isFinal: true });
      expect(error.message).toContain('(DEPTH_ZERO_SELF_SIGNED_CERT)');
      expect(clock.slept).toEqual([]);
    } finally {
      server.close();
    }
  });

  test('a server that does not answer like GitLab', async () => {
    gitlab.fail({}, { kind: 'answer', status: 200, body: '<html>a log-in page</html>' });
    expect((await failure(client.project(1))).message).toContain('JSON');
    gitlab.fail({}, { kind: 'answer', status: 200, body: '{"id":"one"}' });
    expect((await failure(client.project(1))).message).toMatch(/: id: /);
    gitlab.fail({}, { kind: 'answer', status: 200, body: 'x'.repeat(17 * 1024 ** 2) });
    expect((await failure(client.project(1))).message).toContain('16 MiB');
    expect(gitlab.requests).toHaveLength(3);
  });
});

describe('the token', () => {
  const heard: string[] = [];
  const stranger = createServer((request, reply) => {
    heard.push(JSON.stringify([request.url, request.headers]));
    reply.end('[]');
  });

  beforeEach(async () => {
    heard.length = 0;
    stranger.listen(0, '127.0.0.1');
    await once(stranger, 'listening');
  });

  afterEach(() => {
    stranger.closeAllConnections();
    stranger.close();
  });

  const strange = () =>
    `http://127.0.0.1:${(stranger.address() as AddressInfo).port}/api/v4/projects`;

  test('does not follow a redirection', async () => {
    gitlab.fail({}, { kind: 'answer', status: 302, body: '', headers: { location: strange() } });
    const { message } = await failure(listed());
    expect(message).toContain(new URL(strange()).origin);
    expect(heard).toEqual([]);
  });

  test('does not follow a next page to another origin', async () => {
    const headers = { link: `<${strange()}>; rel="next"` };
    gitlab.fail({}, { kind: 'answer', status: 200, body: '[]', headers });
    expect((await failure(listed())).message).toContain(new URL(strange()).origin);
    expect(heard).toEqual([]);
  });

  test('is in no URL', async () => {
    await listed();
    await client.readFile(1, 'x', 'HEAD');
    for (const request of gitlab.requests) expect(request).not.toContain(gitlab.token);
  });

  test('must be given, and be well-formed', () => {
    expect(() => open({ token: undefined })).toThrow(NoTokenProvidedError);
    expect(() => open({ token: '' })).toThrow(NoTokenProvidedError);
    expect(() => open({ token: 'two words' })).toThrow(/^the GitLab token: /);
  });

  test.each(['ftp://host', 'gitlab.com', 'https://user:secret@host', 'https://host?x=secret'])(
    'is not sent to %s, whose secret is not shown',
    (url) => {
      expect(() => open({ url })).toThrow(/^the GitLab URL: (?!.*secret)/);
    },
  );

  test('of 64 hexadecimal digits is an OAuth token, and is sent as one', async () => {
    const token = 'ab'.repeat(32);
    await new GitLabClient({ url: strange().replace('/api/v4/projects', ''), token, clock })
      .projects()
      .next();
    expect(heard[0]).toContain(`"authorization":"Bearer ${token}"`);
  });
});

test('a signal ends a wait and a running request', async () => {
  const stopping = new AbortController();
  gitlab.fail({}, { kind: 'slow', until: new Promise(() => {}) });
  const asked = client.project(1, stopping.signal);
  const reason = new Error('stopped');
  const refused = expect(asked).rejects.toBe(reason);
  await gitlab.received('GET /api/v4/projects/1');
  stopping.abort(reason);
  await refused;
  await expect(client.project(1, stopping.signal)).rejects.toBe(reason);
});
