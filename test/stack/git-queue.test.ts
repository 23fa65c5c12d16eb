import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { jobScript, QueueRepo } from '../git-queue/queue-repo.js';
import { LiveStack } from './live-stack.js';

let repo: QueueRepo;
let stack: LiveStack;

const header = 'script,args,kwargs,status,note\r\n';
const row = (script: string, args: string, kwargs = '{}') =>
  `${script},"${JSON.stringify([args]).replaceAll('"', '""')}","${kwargs.replaceAll('"', '""')}",ready,"kept, as it is"\r\n`;

beforeAll(async () => {
  repo = new QueueRepo({
    'jobs/queue.csv': header,
    'job.py': jobScript,
    'fail.py': 'print("no luck")\nraise SystemExit(3)\n',
    'slow.py': 'import time\nprint("up", flush=True)\ntime.sleep(1000)\n',
    'tools/__init__.py': '',
    'tools/name.py': 'NAME = "from the checkout"\n',
    'uses.py':
      'import os, sys\nfrom tools.name import NAME\nprint(NAME, sys.argv[1:], sorted(os.listdir("results")))\nopen("results/made.txt", "w").write(NAME)\nopen("results/big.bin", "wb").truncate(3 * 1024 * 1024)\nos.symlink("/etc/passwd", "results/link")\n',
    'results/old.txt': 'old',
    '.gitattributes': 'tools export-ignore\n*.py text eol=crlf\n',
  });
  stack = await LiveStack.start({
    JR_GITQUEUE_REPO: repo.url,
    JR_GITQUEUE_LOCAL: '1',
    JR_GITQUEUE_INTERVAL: '1',
    JR_GITQUEUE_MAX_JOBS: '4',
    JR_GITQUEUE_MAX_RESULT_MB: '1',
    JR_LEASE_MINUTES: '0.25',
    JOBS_QUEUE_FILE: 'jobs/queue.csv',
    MAX_JOB_ATTEMPTS: '2',
  });
  repo.giveTo('jobrunner');
});

afterAll(async () => {
  await stack.remove();
  repo.remove();
});

/** Adds rows as a person would, and waits until no row of the queue is left to run. */
async function runRows(rows: string): Promise<void> {
  repo.pushAgain(() => repo.append('jobs/queue.csv', rows));
  await repo.until(
    'no row is left to run',
    () => !/,(ready|running),/.test(repo.show('jobs/queue.csv')),
  );
}

test('a row becomes a job in a checkout of its commit, and its results are committed', async () => {
  await runRows(row('uses.py', 'x', '{"cheese": "on,toast"}'));
  expect(repo.show('jobs/queue.csv')).toBe(
    header + row('uses.py', 'x', '{"cheese": "on,toast"}').replace(',ready,', ',run,'),
  );
  expect(repo.show('results/made.txt')).toBe('from the checkout');
  expect(repo.files().filter((path) => path.startsWith('results/'))).toEqual([
    'results/made.txt',
    'results/old.txt',
  ]);
  const [record] = repo.records();
  expect(record).toMatchObject({
    status: 'run',
    attempts: 1,
    exit_code: 0,
    log: ["from the checkout ['x', '--cheese=on,toast'] ['old.txt']"],
    results: [
      { path: 'results/big.bin', size: 3 * 1024 ** 2, committed: false },
      { path: 'results/made.txt', committed: true },
    ],
  });
  const job = await stack.call<{ status: string; user: string; command_key: string }>(
    'GET',
    `/jobs/${String(record?.['job_id'])}`,
  );
  expect(job.json).toMatchObject({ status: 'COMPLETED', command_key: 'git_queue' });
});

test('a failing job goes back to ready, and is failed after its last attempt', async () => {
  await runRows(row('fail.py', 'y'));
  expect(repo.show('jobs/queue.csv')).toMatch(/^fail\.py,.*,failed,"kept, as it is"\r$/m);
  const record = repo.records().find(({ script }) => script === 'fail.py');
  expect(record).toMatchObject({ status: 'failed', attempts: 2, exit_code: 3, log: ['no luck'] });
  const history = repo.git('-C', repo.bare, 'log', '--format=%s', 'main');
  expect(
    history.match(/^(Claim|Set) fail\.py.*$/gm)?.map((line) => line.replace(/ for .*/, '')),
  ).toEqual([
    ...['Set fail.py to failed', 'Claim fail.py', 'Set fail.py to ready', 'Claim fail.py'],
  ]);
});

test('a script outside the repository is never run', async () => {
  await runRows(row('../../etc/x.py', 'z') + row('none.py', 'z'));
  const messages = repo
    .records()
    .filter(({ status, job_id: id }) => status === 'failed' && id === undefined)
    .map(({ message }) => message);
  expect(messages.sort()).toEqual([
    expect.stringMatching(/^script: \.\.\/\.\.\/etc\/x\.py .*outside/),
    expect.stringMatching(/^script: none\.py .*not in/),
  ]);
});

test('a bad row is reported, with the results of all other rows', async () => {
  repo.pushAgain(() => repo.append('jobs/queue.csv', 'job.py,not json,{},ready,\r\n'));
  interface RunningSource {
    name: string;
    done: number;
    problems: { where: string; message: string }[];
  }
  let way: RunningSource | undefined;
  await repo.until('the bad row is reported', async () => {
    const reply = await stack.call<{ sources?: RunningSource[] } & RunningSource[]>(
      'GET',
      '/ingest',
    );
    const all = Array.isArray(reply.json)
      ? reply.json
      : (Object.values(reply.json)[0] as RunningSource[]);
    way = all.find(({ name }) => name === 'git-queue');
    return (way?.problems.length ?? 0) > 0;
  });
  expect(way?.problems[0]?.message).toMatch(/^args: /);
  expect(way?.problems[0]?.where).toMatch(/^jobs\/queue\.csv:\d+$/);
});

test('a job whose row is removed is cancelled here', async () => {
  repo.pushAgain(() => repo.append('jobs/queue.csv', row('slow.py', 's')));
  const record = () => repo.records().find(({ script }) => script === 'slow.py');
  await repo.until('the job runs', () => record()?.['status'] === 'running');
  repo.pushAgain(() => repo.edit('jobs/queue.csv', (text) => text.replace(/^slow\.py.*\r\n/m, '')));
  await repo.until('the job has failed', () => record()?.['status'] === 'failed');
  expect(repo.show('jobs/queue.csv')).not.toContain('slow.py');
  const job = await stack.call('GET', `/jobs/${String(record()?.['job_id'])}`);
  expect(job.json.status).toBe('CANCELLED');
});
