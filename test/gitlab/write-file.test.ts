import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execa } from 'execa';
import { GitLabClient } from '../../src/ingest/gitlab/client.js';
import type { Project } from './api.js';
import { failureOf } from './failure.js';
import { FakeClock } from './fake-clock.js';
import type { Fault, FaultOn } from './faults.js';
import { GitLabStandIn } from './stand-in.js';

let gitlab: GitLabStandIn;
let clock: FakeClock;
let client: GitLabClient;
let project: Project;

const response = 'gpu_jobs/job_1/response.yaml';

beforeEach(async () => {
  gitlab = await GitLabStandIn.start();
  clock = new FakeClock();
  client = new GitLabClient({ url: gitlab.url, token: gitlab.token, clock });
  project = await gitlab.addProject({ path: 'group/project', files: { 'a/b c.txt': 'hello\n' } });
});

afterEach(async () => {
  await gitlab.close();
});

const failure = (work: Promise<unknown>) => failureOf(work, gitlab.token);

describe('creating a file', () => {
  const nonce = 'worker: a\nnonce: 0123\n';
  const post = { method: 'POST' };
  const create = (content: string, options = {}) =>
    client.createFile(
      project.id,
      { branch: 'main', path: response, content, message: 'Claim job 1' },
      options,
    );
  const inRepository = () => gitlab.read(project, response);
  const after = async (on: FaultOn, fault: Fault) => {
    gitlab.fail(on, fault);
    await create(nonce);
    expect(gitlab.faultsLeft).toBe(0);
    return inRepository();
  };

  test('commits it, byte for byte', async () => {
    await create(nonce);
    await expect(inRepository()).resolves.toBe(nonce);
  });

  test('an existing file stays unchanged, even one with the same content', async () => {
    await create(nonce);
    for (const content of ['another', nonce])
      expect(await failure(create(content))).toMatchObject({ name: 'GitLabFileExistsError' });
    await expect(inRepository()).resolves.toBe(nonce);
    expect(clock.slept).toEqual([]);
  });

  test('when repeated after an unknown outcome, the same content counts as ours', async () => {
    await create(nonce);
    await create(nonce, { sameIsOurs: true });
    expect(await failure(create('other', { sameIsOurs: true }))).toMatchObject({
      name: 'GitLabFileExistsError',
    });
  });

  test('after a lost reply, the file itself shows the success', async () => {
    await expect(after(post, { kind: 'lost-reply' })).resolves.toBe(nonce);
    await expect(project.repository?.commitOf('main~2')).resolves.toBeUndefined();
  });

  test('a reply that is lost after somebody else’s commit does not count as success', async () => {
    gitlab.fail(post, { kind: 'reset' });
    await gitlab.commit(project, { [response]: 'worker: b\n' });
    expect(await failure(create(nonce))).toMatchObject({ name: 'GitLabFileExistsError' });
    await expect(inRepository()).resolves.toBe('worker: b\n');
  });

  test('a branch that moves meanwhile does no harm', async () => {
    const act = () => gitlab.commit(project, { other: 'x' }).then(() => undefined);
    await expect(after(post, { kind: 'meanwhile', act })).resolves.toBe(nonce);
    await expect(gitlab.read(project, 'other')).resolves.toBe('x');
    expect(clock.slept).toEqual([1000]);
  });

  test('a file that somebody else creates meanwhile stays theirs', async () => {
    const act = () => gitlab.commit(project, { [response]: 'worker: b\n' }).then(() => undefined);
    gitlab.fail(post, { kind: 'meanwhile', act });
    expect(await failure(create(nonce))).toMatchObject({ name: 'GitLabFileExistsError' });
    await expect(inRepository()).resolves.toBe('worker: b\n');
  });

  test('after a lock or too many requests, the call is retried', async () => {
    await expect(
      after(post, {
        kind: 'answer',
        status: 409,
        body: '{"message":"409 Conflict: Resource lock"}',
      }),
    ).resolves.toBe(nonce);
  });

  test('a tag with the branch’s name changes nothing', async () => {
    await execa('git', ['tag', 'main', 'refs/heads/main'], { cwd: project.repository?.path ?? '' });
    await expect(after(post, { kind: 'lost-reply' })).resolves.toBe(nonce);
    expect(await failure(create('other'))).toMatchObject({ name: 'GitLabFileExistsError' });
  });

  test('any other refusal is final, with GitLab’s message', async () => {
    const message = 'You are not allowed to push into this branch';
    gitlab.fail(post, { kind: 'answer', status: 400, body: JSON.stringify({ message }) });
    expect(await failure(create(nonce))).toMatchObject({ name: 'GitLabError', words: message });
    expect(clock.slept).toEqual([]);
  });

  test('a project without write access is reported', async () => {
    project.archived = true;
    expect(await failure(create(nonce))).toMatchObject({
      name: 'GitLabAuthenticationError',
      status: 403,
    });
  });

  test('of twelve simultaneous calls one wins, and knows it', async () => {
    const won = await Promise.allSettled(
      Array.from({ length: 12 }, (_, i) => create(`worker: ${i}\n`).then(() => `worker: ${i}\n`)),
    );
    const winners = won.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    expect(winners).toEqual([await inRepository()]);
  });
});

describe('updating a file', () => {
  const put = { method: 'PUT' };
  const update = async (content: string, lastCommitId?: string) => {
    const read = await client.readFile(project.id, 'a/b c.txt', 'main');
    const file = { branch: 'main', path: 'a/b c.txt', content, message: 'Report job 1' };
    await client.updateFile(project.id, file, lastCommitId ?? read?.lastCommitId ?? '');
  };
  const inRepository = () => gitlab.read(project, 'a/b c.txt');

  test('commits it, also when other files have changed', async () => {
    const { lastCommitId = '' } = (await client.readFile(1, 'a/b c.txt', 'main')) ?? {};
    await gitlab.commit(project, { other: 'x' });
    await update('new\n', lastCommitId);
    await expect(inRepository()).resolves.toBe('new\n');
  });

  test('a file that was changed or removed since the read stays unchanged', async () => {
    const { lastCommitId = '' } = (await client.readFile(1, 'a/b c.txt', 'main')) ?? {};
    await gitlab.commit(project, { 'a/b c.txt': 'theirs\n' });
    expect(await failure(update('ours\n', lastCommitId))).toMatchObject({
      name: 'GitLabFileChangedError',
    });
    await expect(inRepository()).resolves.toBe('theirs\n');
    await gitlab.commit(project, { 'a/b c.txt': null });
    expect(await failure(update('ours\n', lastCommitId))).toMatchObject({
      name: 'GitLabFileChangedError',
    });
  });

  test('after a lost reply, the file itself shows the success', async () => {
    gitlab.fail(put, { kind: 'lost-reply' });
    await update('new\n');
    await expect(inRepository()).resolves.toBe('new\n');
    expect(gitlab.faultsLeft).toBe(0);
  });

  test('a branch that moves meanwhile does no harm; a file that changes meanwhile stays unchanged', async () => {
    const push = (path: string) => () =>
      gitlab.commit(project, { [path]: 'x' }).then(() => undefined);
    gitlab.fail(put, { kind: 'meanwhile', act: push('other') });
    await update('new\n');
    await expect(inRepository()).resolves.toBe('new\n');
    gitlab.fail(put, { kind: 'meanwhile', act: push('a/b c.txt') });
    expect(await failure(update('newer\n'))).toMatchObject({ name: 'GitLabFileChangedError' });
    await expect(inRepository()).resolves.toBe('x');
  });
});
