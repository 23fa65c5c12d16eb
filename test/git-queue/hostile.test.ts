import { afterEach, describe, expect, test } from '@jest/globals';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { filesBelow } from '../../src/cli/git-queue/checkout.js';
import {
  maxRecordBytes,
  writeRecord,
  type ClaimRecord,
} from '../../src/ingest/git-queue/claim-record.js';
import { claimJob } from '../../src/ingest/git-queue/transitions.js';
import { safeConfig, runGit, type GitSetup } from '../../src/ingest/git-queue/git.js';
import { isUnfitPath } from '../../src/ingest/git-queue/git-names.js';
import { Queue } from '../../src/ingest/git-queue/queue.js';
import { QueueFile } from '../../src/ingest/git-queue/queue-file.js';
import { readyJobs, runningJobs, type QueueState } from '../../src/ingest/git-queue/queue-state.js';
import { Repository } from '../../src/ingest/git-queue/repository.js';
import { storeResults } from '../../src/ingest/git-queue/results.js';
import { GitQueueSource } from '../../src/ingest/git-queue/source.js';
import { jobScript, QueueRepo, queueText } from './queue-repo.js';

const header = 'script,args,kwargs,status\n';
const limits = { fileBytes: 1024 ** 2, totalBytes: 100 * 1024 ** 2, files: 1000 };
const notes = { problem: () => undefined, retrying: () => undefined, cancelled: () => undefined };
const never = new AbortController().signal;

let repo: QueueRepo;
afterEach(() => repo.remove());

async function open(files: Record<string, string>, config: Record<string, string> = {}) {
  repo = new QueueRepo(files);
  const git: GitSetup = { env: repo.env({}), config: { ...safeConfig(['file']), ...config } };
  const gitDir = join(repo.folder, 'copy.git');
  await runGit(git, ['init', '--quiet', '--bare', gitDir]);
  const url = repo.url;
  const parts = { git, url, branch: 'main', gitDir, shallow: true, name: 'test' };
  const repository = new Repository(parts);
  const by = { name: 'tester', email: 'tester@localhost' };
  const queue = new Queue({ repository, queueFile: 'queue.csv', by, now: Date.now });
  return { repository, queue };
}

const claim = { worker: 'w', nonce: 'n', leaseUntil: 0 };

/** The queue, as a server opens it. */
async function scan(queue: Queue) {
  const source = new GitQueueSource({
    ...{ queue, resultsDir: 'results', limits, maxJobAttempts: 2, leaseMs: 60_000, gpus: 0 },
    now: Date.now,
  });
  const items = [];
  for await (const item of source.scan(notes, never)) items.push(item);
  return { source, items };
}

/** A folder with a job's results. */
function results(write: (folder: string) => void): string {
  const folder = join(repo.folder, 'results');
  mkdirSync(folder);
  write(folder);
  return folder;
}

const stateOf = (text: string): QueueState => ({
  commit: 'a'.repeat(40),
  file: QueueFile.read(Buffer.from(text)),
  records: new Map(),
  problems: [],
});

describe('a repository', () => {
  test('of a hundred thousand equal rows is read within the time of one check', async () => {
    await open({ 'queue.csv': header });
    const ready = stateOf(header + 'a.py,,,ready\n'.repeat(100_000));
    const jobs = readyJobs(ready);
    expect(new Set(jobs.map(({ key }) => key)).size).toBe(100_000);
    expect(jobs.at(-1)?.key).toMatch(/-100000$/);
    expect(runningJobs(stateOf(header + 'a.py,,,running\n'.repeat(100_000)))).toEqual([]);
  });

  test('with millions of columns in one row takes no memory for them', async () => {
    await open({ 'queue.csv': header });
    const file = QueueFile.read(Buffer.from(header + ','.repeat(8 * 1024 ** 2)));
    expect(file.problems).toEqual([{ line: 2, message: 'has more than 1000 columns' }]);
    expect(() => QueueFile.read(Buffer.from(','.repeat(8 * 1024 ** 2)))).toThrow(/does not begin/);
  });

  test('with a row too long for its own claim reports it and does not claim it', async () => {
    await open({ 'queue.csv': header });
    const long = stateOf(`${header}a.py,"[""${'x'.repeat(40_000)}""]",{},ready\n`);
    expect(long.file.rows).toEqual([]);
    expect(long.file.problems[0]?.message).toMatch(/longer than 32 KiB/);
    // The longest accepted row, all of it quotes, which are escaped twice.
    const most = stateOf(`${header}a.py,"[""${'\\""'.repeat(3900)}""]",{},ready\n`);
    const [job] = readyJobs(most);
    const handle = { worker: 'w', nonce: 'n', leaseUntil: 0 };
    const { change } = claimJob(most, job?.key ?? '', undefined, handle, 0);
    const [record] = change?.records.values() ?? [];
    expect(writeRecord(record as ClaimRecord).length).toBeLessThan(maxRecordBytes / 4);
  });

  test('with more claims than git may print at once is read all the same', async () => {
    const { queue } = await open({ 'queue.csv': queueText(['a']) });
    const claim = join(repo.clone, '.jobrunner', `${'0'.repeat(16)}-1.json`);
    mkdirSync(join(claim, '..'));
    for (let i = 1; i <= 350; i++)
      writeFileSync(claim.replace('-1.json', `-${i}.json`), 'x'.repeat(200 * 1024));
    repo.push('An old queue');
    const state = await queue.look();
    expect(state.records.size).toBe(350);
    expect(readyJobs(state)).toHaveLength(1);
  });

  test('has its copy tidied from time to time, not only at first', async () => {
    // Fetched objects stay in packs; git tolerates two here.
    const config = { 'fetch.unpackLimit': '1', 'gc.autoPackLimit': '2' };
    const { repository } = await open({ 'queue.csv': header }, config);
    const packs = () =>
      readdirSync(join(repository.parts.gitDir, 'objects/pack')).filter((name) =>
        name.endsWith('.pack'),
      ).length;
    for (const text of ['a', 'b', 'c', 'd']) {
      repo.commit({ 'notes.txt': text }, text);
      await repository.fetch();
    }
    expect(packs()).toBe(4);
    for (let i = 0; i < 100; i++) await repository.fetch();
    expect(packs()).toBe(1);
  });

  test('with a script whose name no job can have runs the script under another name', async () => {
    const script = `${'😀'.repeat(60)}x\u2028${'y'.repeat(8)}.py`;
    const { queue } = await open({ 'queue.csv': `${header}${script},,,ready\n`, [script]: '' });
    const { source, items } = await scan(queue);
    const [item] = items;
    if (item === undefined) throw new Error('the row was not found');
    const { fields } = await source.request(item, claim, never);
    expect(fields.name).toMatch(/^(😀)+xy{8}\.py$/u);
    expect(fields.params['script']).toBe(script);
  });

  test('has its files packed for one job at a time, however many jobs are claimed at once', async () => {
    const files = { 'queue.csv': queueText(['a', 'b', 'c', 'd']), 'job.py': jobScript };
    const { repository, queue } = await open(files);
    const { source, items } = await scan(queue);
    const archive = repository.archive.bind(repository);
    let packing = 0;
    let most = 0;
    repository.archive = async (...args) => {
      most = Math.max(most, ++packing);
      return archive(...args).finally(() => packing--);
    };
    const requests = await Promise.all(items.map((item) => source.request(item, claim, never)));
    expect(requests.map(({ script }) => script?.name)).toEqual(items.map(() => 'checkout.tar.gz'));
    expect({ most, packing }).toEqual({ most: 1, packing: 0 });
  });
});

describe('a job', () => {
  const special = [
    '.gitmodules',
    '.GitAttributes',
    'git~1',
    '.git ',
    'gitmod~1',
    '.g\u200cit',
    'a\\.git',
  ];

  test('cannot leave a file that would keep everybody from fetching the queue', async () => {
    const { repository } = await open({ 'queue.csv': queueText([]) });
    const tip = await repository.fetch();
    if (tip === undefined) throw new Error('there is no branch');
    const folder = results((at) => {
      mkdirSync(join(at, 'below'));
      const payload = '[submodule "../x"]\n\tpath = -x\n\turl = -u./payload\n';
      for (const name of special) writeFileSync(join(at, 'below', name), payload);
      writeFileSync(join(at, 'git~notes.txt'), 'kept');
      writeFileSync(join(at, '.gitkeep'), '');
    });
    const stored = await storeResults(repository, tip, 'results', filesBelow(folder), limits);
    expect(stored.left).toBe(special.length);
    expect(stored.results.map(({ path }) => path)).toEqual([
      'results/.gitkeep',
      'results/git~notes.txt',
    ]);
    const by = { name: 't', email: 't', at: 0 };
    const commit = await repository.commit(tip, stored.files, 'x', by);
    expect(await repository.push(commit)).toEqual({ kind: 'pushed' });
    const fresh = join(repo.folder, 'fresh.git');
    await runGit(repository.parts.git, ['init', '--quiet', '--bare', fresh]);
    const other = new Repository({ ...repository.parts, gitDir: fresh });
    expect(await other.fetch()).toBe(commit);
  });

  test.each(special)('git itself would refuse %j in a fetched commit', async (name) => {
    const { repository } = await open({ 'queue.csv': queueText([]) });
    const bad = '[submodule "../x"]\n\tpath = -x\n\turl = -u./payload\n'.padEnd(3000, 'x');
    const blob = join(repo.folder, 'blob');
    writeFileSync(blob, bad);
    const oid = repo.git('-C', repo.bare, 'hash-object', '-w', blob).trim();
    const inTree = join(repo.folder, 'tree');
    writeFileSync(inTree, `100644 blob ${oid}\t${name}\0`);
    const script =
      'tree=$(git mktree -z <"$1") && commit=$(git commit-tree -m x "$tree") && git update-ref refs/heads/main "$commit"';
    const { execFileSync } = await import('node:child_process');
    execFileSync('sh', ['-c', script, 'sh', inTree], { cwd: repo.bare, env: repo.env({}) });
    await expect(repository.fetch()).rejects.toThrow(/fsck/);
    expect(isUnfitPath(`results/${name}`)).toBe(true);
  });

  test('with a huge sparse result and many long names is neither read for ever nor given an unreadable claim', async () => {
    const { repository } = await open({ 'queue.csv': queueText([]) });
    const tip = (await repository.fetch()) ?? '';
    const name = 'n'.repeat(200);
    const folder = results((at) => {
      writeFileSync(join(at, 'hole'), '');
      truncateSync(join(at, 'hole'), 2 ** 42);
      for (let i = 0; i < 900; i++) writeFileSync(join(at, `${name}${i}`), '');
    });
    const small = { ...limits, fileBytes: -1 };
    const stored = await storeResults(repository, tip, 'results', filesBelow(folder), small);
    expect(stored.results.length).toBeGreaterThan(200);
    expect(stored.results.length + stored.left).toBe(901);
    expect(stored.results.some(({ path }) => path === 'results/hole')).toBe(false);
    expect(Buffer.byteLength(JSON.stringify(stored.results, null, 2))).toBeLessThan(128 * 1024);
  });

  test('with some changing or unreadable results has the others committed', async () => {
    const { repository } = await open({ 'queue.csv': queueText([]) });
    const tip = (await repository.fetch()) ?? '';
    const gone = Object.assign(new Error('EACCES'), { code: 'EACCES' });
    let opened = 0;
    async function* bytes(text: string) {
      yield await Promise.resolve(Buffer.from(text));
    }
    async function* files() {
      yield { path: 'a', size: 1, open: () => Promise.reject(gone) };
      yield { path: 'b', size: 1, open: () => Promise.resolve(bytes('too long')) };
      // Only at the second reading, for the commit.
      yield await Promise.resolve({
        ...{ path: 'c', size: 3 },
        open: () => Promise.resolve(bytes(opened++ === 0 ? 'abc' : 'ab')),
      });
      yield { path: 'd', size: 3, open: () => Promise.resolve(bytes('abc')) };
    }
    const stored = await storeResults(repository, tip, 'results', files(), limits);
    expect(stored.results.map(({ path }) => path)).toEqual(['results/d']);
    expect(stored.left).toBe(3);
  });

  test('with results that the repository refuses has its outcome written all the same', async () => {
    repo = new QueueRepo({ 'queue.csv': queueText(['secret']), 'job.py': jobScript });
    repo.preReceive(
      'while read -r _ new _; do ! git ls-tree -r --name-only "$new" | grep -q secret.txt || { echo no secrets; exit 1; }; done',
    );
    const runner = repo.work('w', ['--max-attempts', '1', '--sleep', '0']);
    expect(await runner.ended).toMatchObject({ code: 0 });
    expect(repo.statuses()).toEqual(['run']);
    const [record] = repo.records();
    expect(record).toMatchObject({
      status: 'run',
      results: [{ path: 'results/secret.txt', committed: false }],
      log: ["ran ['secret']", expect.stringMatching(/^jobrunner: .*without its results/)],
    });
  });

  test('that closes its own folders does not end the runner', async () => {
    const closing = `${jobScript.replace('sys.exit', '#')}
os.mkdir(os.environ["RESULTS_DIR"] + "/closed")
open(os.environ["RESULTS_DIR"] + "/closed/x", "w").close()
os.chmod(os.environ["RESULTS_DIR"] + "/closed", 0)
`;
    repo = new QueueRepo({ 'queue.csv': queueText(['a', 'b']), 'job.py': closing });
    chmodSync(repo.folder, 0o755);
    // Root can read everything.
    repo.giveTo('runner');
    const runner = repo.work('w', ['--max-attempts', '1', '--sleep', '0']);
    expect(await runner.ended).toMatchObject({ code: 0 });
    expect(repo.statuses()).toEqual(['run', 'run']);
    expect(repo.show('results/a.txt')).toBe('a');
    expect(runner.said()).toMatch(/\b1 result/);
    expect(readFileSync(join(repo.clone, 'job.py'), 'utf8')).toContain('closed');
  });
});
