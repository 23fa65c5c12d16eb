import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { parse } from 'yaml';
import type { Project } from '../gitlab/api.js';
import { GitLabStandIn } from '../gitlab/stand-in.js';
import { readJobUsers } from '../../src/config/unix-users.js';
import { LiveStack } from './live-stack.js';
import { until } from '../until.js';

const mainJs = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

interface Response {
  status: string;
  worker: string;
  nonce: string;
  claimed_at: string;
  lease_until?: string;
  jobrunner_job_id?: number | null;
  exit_code?: number | null;
  started_at?: string | null;
  ended_at?: string | null;
  message?: string | null;
  outputs?: { id: string; path: string; size: number; sha256: string; url: string }[];
  log?: string;
}

interface IngestSourceView {
  name: string;
  worker: string | null;
  paused: { by: string; at: string } | null;
  last_scan: string | null;
  found: number;
  claimed: number;
  running: number;
  done: number;
  failed: number;
  problems: { where: string; message: string }[];
}

let stack: LiveStack;
let gitlab: GitLabStandIn;
let work: string;

/**
 * Waits as told, leaves a file, and prints terminal control characters.
 */
const jobScript = `
printf 'one\\rtwo\\n\\033[31mred\\033[0m\\n'
printf '%s' {{params}} >params.json
printf 'weights' >model.pth
while [ -e {{params.hold}} ]; do sleep 0.1; done
exit {{params.exit}}
`;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'jr-gitlab-test-'));
  mkdirSync(join(work, 'templates', 'tts'), { recursive: true });
  writeFileSync(join(work, 'templates', 'tts', 'job.sh'), jobScript);
  const params = {
    type: 'object',
    properties: {
      exit: { type: 'integer', default: 0 },
      hold: { type: 'string', default: '/nonexistent/x' },
    },
    additionalProperties: true,
  };
  writeFileSync(
    join(work, 'templates', 'tts', 'template.json'),
    JSON.stringify({ description: 'A test', params }),
  );
  writeFileSync(
    join(work, 'types.yaml'),
    'training:\n  command_key: tts\n  mem_gb: 0.2\n  time_limit: 00:10:00\nevaluation: tts\n',
  );
  chmodSync(work, 0o755);
  gitlab = await GitLabStandIn.start();
  stack = await LiveStack.start({
    JR_GITLAB_URL: gitlab.url,
    JR_GITLAB_TOKEN: gitlab.token,
    JR_GITLAB_INTERVAL: '1',
    JR_GITLAB_JOB_TYPES: join(work, 'types.yaml'),
    JR_GITLAB_MAX_JOBS: '8',
    JR_TEMPLATES: join(work, 'templates'),
    JR_LEASE_MINUTES: '0.2',
    JR_PUBLIC_URL: 'https://jobs.example.com/',
  });
});

afterAll(async () => {
  await stack.remove();
  await gitlab.close();
  rmSync(work, { recursive: true });
});

/** A manifest with one job `a`. */
function manifest(fields: Record<string, unknown>): Record<string, string> {
  const job = { job_id: 'a', job_type: 'training', ...fields };
  return { 'gpu_jobs/manifest.yaml': JSON.stringify({ version: 1, jobs: [job] }) };
}

async function responseOf(project: Project, job = 'a'): Promise<Response | undefined> {
  const text = await gitlab.read(project, `gpu_jobs/job_${job}/response.yaml`);
  return text === undefined ? undefined : (parse(text, { version: '1.1' }) as Response);
}

const untilResponse = (project: Project, is: (response: Response) => boolean) =>
  until(`the response in ${project.path} meets ${is.toString()}`, async (saw) => {
    const response = await responseOf(project);
    saw(response);
    return response && is(response) ? response : undefined;
  });

const reported = ({ lease_until }: Response) => lease_until === undefined;

async function cli(...args: string[]): Promise<string> {
  const env = { JR_URL: stack.url, JR_AUTH_TOKEN: stack.token };
  return (await execa(process.execPath, [mainJs, ...args], { env })).stdout;
}

async function source(): Promise<IngestSourceView> {
  const { json } = await stack.call<{ sources: IngestSourceView[] }>('GET', '/ingest');
  const found = json.sources.find(({ name }) => name === 'gitlab');
  if (found === undefined) throw new Error('no ingest source gitlab');
  return found;
}

async function jobsOf(path: string): Promise<{ job_id: number; status: string }[]> {
  const { json } = await stack.call<{ jobs: { job_id: number; status: string; name: string }[] }>(
    'GET',
    '/jobs?limit=1000',
  );
  return json.jobs.filter(({ name }) => name === `${path}/a`);
}

/** A file that keeps its job from ending while it exists. */
function hold(name: string): string {
  const path = join(work, name);
  writeFileSync(path, '');
  return path;
}

function closedGate(): { opened: Promise<void>; open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

describe('a job in a manifest', () => {
  test('runs under Slurm with the manifest’s parameters, and its outcome is written beside the manifest', async () => {
    const project = await gitlab.addProject({
      path: 'voices/first',
      files: manifest({ mode: 'finetune', model: 'stable-tts', epochs: 3, timeout: 300 }),
    });
    const response = await untilResponse(project, reported);
    expect(response).toMatchObject({ status: 'COMPLETED', exit_code: 0, message: null });
    expect(response.log).toBe('two\n\\x1b[31mred\\x1b[0m');
    const id = response.jobrunner_job_id ?? 0;
    expect(response.outputs).toEqual([
      {
        id: 'model.pth',
        path: 'model.pth',
        kind: 'file',
        size: 7,
        sha256: createHash('sha256').update('weights').digest('hex'),
        url: `https://jobs.example.com/outputs/download_by_job?job_id=${id}&rel_path=model.pth`,
      },
    ]);
    const { text } = await stack.call(
      'GET',
      `/outputs/download_by_job?job_id=${id}&rel_path=params.json`,
    );
    expect(JSON.parse(text)).toMatchObject({
      job_type: 'training',
      mode: 'finetune',
      epochs: 3,
      timeout: 300,
    });
    const { json: job } = await stack.call<{ user: string; timeout: number }>('GET', `/jobs/${id}`);
    expect(job).toMatchObject({ user: 'ingest:gitlab', timeout: 300 });
    // A Unix user of its own, not the owner's.
    const { uid } = statSync(join(stack.root, 'results', String(id), 'model.pth'));
    expect(uid).toBe(readJobUsers().get('jr-job1')?.uid);
    const { stdout } = await execa('git', [
      '-C',
      project.repository?.path ?? '',
      'log',
      '--format=%s',
    ]);
    const ours = stdout.split('\n').filter((subject) => subject.includes('GPU job a'));
    expect(ours.at(-1)).toBe('Claim GPU job a [skip ci]');
    expect(ours[0]).toBe('Report GPU job a: COMPLETED [skip ci]');
    expect(ours.every((subject) => subject.endsWith(' [skip ci]'))).toBe(true);
  });

  test('that fails, or cannot be submitted, is reported with the reason', async () => {
    const failing = await gitlab.addProject({ path: 'a/fails', files: manifest({ exit: 3 }) });
    const wrong = await gitlab.addProject({
      path: 'a/wrong',
      files: manifest({ timeout: 'soon' }),
    });
    expect(await untilResponse(failing, reported)).toMatchObject({
      status: 'FAILED',
      exit_code: 3,
    });
    expect(await untilResponse(wrong, reported)).toMatchObject({
      status: 'REJECTED',
      jobrunner_job_id: null,
      message: expect.stringMatching(/^timeout: /),
    });
  });

  test('of an unmapped type is shown to admins, and neither claimed nor run', async () => {
    const project = await gitlab.addProject({
      path: 'a/unmapped',
      files: manifest({ job_type: 'shell; reboot' }),
    });
    const { problems } = await until('the problem is shown', async () => {
      const now = await source();
      return now.problems.some(({ where }) => where === 'a/unmapped: a') && now;
    });
    const [problem] = problems.filter(({ where }) => where === 'a/unmapped: a');
    expect(problem?.message).toContain('"shell; reboot"');
    expect(await responseOf(project)).toBeUndefined();
    expect(await jobsOf('a/unmapped')).toEqual([]);
  });

  test('is cancelled when the manifest cancels it after the claim', async () => {
    const held = { hold: hold('cancelled') };
    const project = await gitlab.addProject({ path: 'a/cancelled', files: manifest(held) });
    const { jobrunner_job_id: id } = await untilResponse(project, (r) => r.status === 'RUNNING');
    await gitlab.commit(project, manifest({ ...held, canceled: true }));
    expect(await untilResponse(project, reported)).toMatchObject({
      status: 'CANCELLED',
      jobrunner_job_id: id,
    });
  });
});

describe('a job of a manifest runs once', () => {
  test('although the API is killed between its claim and its submission', async () => {
    const gate = closedGate();
    // The claim arrives, its reply is lost, and the retry waits until that API is gone.
    const on = new RegExp(`/${gitlab.projects.size + 1}/repository/files/.*response\\.yaml`);
    gitlab.fail({ method: 'POST', url: on }, { kind: 'lost-reply' });
    gitlab.fail({ url: on }, { kind: 'slow', until: gate.opened });
    const project = await gitlab.addProject({ path: 'a/killed-early', files: manifest({}) });
    const claimed = await untilResponse(project, () => true);
    await stack.killApi();
    gate.open();
    expect(await untilResponse(project, reported)).toMatchObject({
      status: 'COMPLETED',
      nonce: claimed.nonce,
    });
    expect(await jobsOf('a/killed-early')).toHaveLength(1);
  });

  test('although the API is killed between its end and its report', async () => {
    const gate = closedGate();
    const held = hold('late');
    const project = await gitlab.addProject({
      path: 'a/killed-late',
      files: manifest({ hold: held }),
    });
    const claimed = await untilResponse(project, (r) => r.status === 'RUNNING');
    gitlab.fail(
      { method: 'PUT', url: new RegExp(`/${project.id}/repository/files/`) },
      { kind: 'slow', until: gate.opened },
    );
    rmSync(held);
    await until(
      'the job ends',
      async () => (await jobsOf('a/killed-late'))[0]?.status === 'COMPLETED',
    );
    await stack.killApi();
    gate.open();
    expect(await untilResponse(project, reported)).toMatchObject({
      status: 'COMPLETED',
      nonce: claimed.nonce,
    });
    expect(await jobsOf('a/killed-late')).toHaveLength(1);
  });

  test('here, after the claiming server is gone and its lease has expired', async () => {
    const dead = (leaseUntil: number) =>
      [
        'job_id: a',
        'status: RUNNING',
        'worker: dead-01234567',
        'nonce: 0123456789abcdef0123456789abcdef',
        `lease_until: "${new Date(leaseUntil).toISOString()}"`,
      ].join('\n');
    const path = 'gpu_jobs/job_a/response.yaml';
    const alive = await gitlab.addProject({
      path: 'a/alive',
      files: { ...manifest({}), [path]: dead(Date.now() + 3600_000) },
    });
    const foreign = await gitlab.addProject({
      path: 'a/foreign',
      files: { ...manifest({}), [path]: 'status: running since monday\n' },
    });
    const project = await gitlab.addProject({
      path: 'a/dead',
      files: { ...manifest({}), [path]: dead(Date.now() - 1000) },
    });
    const response = await untilResponse(project, reported);
    expect(response).toMatchObject({ status: 'COMPLETED' });
    expect(response.worker).not.toBe('dead-01234567');
    expect(await responseOf(alive)).toMatchObject({ worker: 'dead-01234567' });
    expect(await responseOf(foreign)).toEqual({ status: 'running since monday' });
  });
});

describe('the ingest source', () => {
  test('claims nothing while it is paused, and continues after a resume', async () => {
    expect(await cli('ingest', 'pause', 'gitlab')).toContain('gitlab is paused');
    expect((await source()).paused).toMatchObject({ by: 'admin' });
    const project = await gitlab.addProject({ path: 'a/paused', files: manifest({}) });
    await until('the job is found', async () => (await source()).found > 0);
    expect(await responseOf(project)).toBeUndefined();
    expect(await cli('ingest', 'list')).toMatch(/^gitlab +paused by admin +\S+ +\d+/m);
    expect(await cli('ingest', 'resume', 'gitlab')).toContain('takes jobs again');
    expect(await untilResponse(project, reported)).toMatchObject({ status: 'COMPLETED' });
    expect((await stack.call('POST', '/ingest/nowhere/pause')).status).toBe(404);
  });

  test('keeps its token out of logs, environments, arguments and replies', async () => {
    const pid = await stack.pidOf('api');
    const seen = [
      readFileSync(`/proc/${pid}/environ`, 'latin1'),
      readFileSync(`/proc/${pid}/cmdline`, 'latin1'),
      (await stack.call('GET', '/ingest')).text,
      ...readdirSync(join(stack.root, 'logs')).map((name) => {
        const path = join(stack.root, 'logs', name);
        return statSync(path).isFile() ? readFileSync(path, 'latin1') : '';
      }),
    ];
    expect(seen.filter((text) => text.includes(gitlab.token))).toEqual([]);
    expect(statSync(join(stack.root, 'secrets', 'gitlab-token')).mode & 0o007).toBe(0);
  });

  test('appears in the metrics', async () => {
    // The repository has a report a moment before the source knows.
    const { done, failed } = await until('no job is in progress', async () => {
      const now = await source();
      return now.claimed + now.running === 0 && now;
    });
    const { text } = await stack.call('GET', '/metrics');
    expect(text).toContain(`jobrunner_ingest_done{source="gitlab"} ${done}`);
    expect(text).toContain(`jobrunner_ingest_failed{source="gitlab"} ${failed}`);
    expect(text).toMatch(/jobrunner_ingest_last_scan_timestamp_seconds\{source="gitlab"\} \d{10}/);
    expect(text).toMatch(/jobrunner_ingest_errors_total\{source="gitlab"\} \d+/);
    expect(text).toContain('jobrunner_ingest_paused{source="jobs-file"} 0');
  });
});
