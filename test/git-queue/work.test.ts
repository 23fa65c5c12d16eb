import { afterEach, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { jobScript, QueueRepo, queueText } from './queue-repo.js';

let repo: QueueRepo;
afterEach(() => repo.remove());

const make = (files: Record<string, string>) =>
  (repo = new QueueRepo({ 'job.py': jobScript, ...files }));

describe('the commands', () => {
  test('add, list, work and reset follow the old tool’s page, in the current clone', async () => {
    make({ 'README.md': 'a queue', 'dummy.py': 'import sys\nprint(sys.argv[1:])\n' });
    const added = await repo.queue(['add', 'python dummy.py 1 --cheese="on,toast"']);
    expect(added).toEqual({
      code: 0,
      stdout: 'queue.csv:2: dummy.py ["1"] {"cheese": "on,toast"} ready\n',
      stderr: '',
    });
    await repo.queue(['add', 'dummy.py 2']);
    expect(repo.show('queue.csv')).toBe(
      'script,args,kwargs,status\ndummy.py,"[""1""]","{""cheese"": ""on,toast""}",ready\ndummy.py,"[""2""]",{},ready\n',
    );
    const worked = await repo.queue(['work'], { SLEEP_TIME: '0', MAX_ATTEMPTS: '1' });
    expect(worked.stderr).toContain("['1', '--cheese=on,toast']");
    expect(worked.code).toBe(0);
    const listed = await repo.queue(['list', '--status', 'run', '--json']);
    expect(JSON.parse(listed.stdout)).toMatchObject([
      { line: 2, status: 'run', attempts: 1 },
      { line: 3, status: 'run' },
    ]);
    expect((await repo.queue(['list', '--status', 'ready'])).stdout).toBe('no jobs\n');
    expect((await repo.queue(['reset', '3'])).stdout).toBe('1 job is ready again\n');
    expect(repo.statuses()).toEqual(['run', 'ready']);
    // The clone is unchanged: nothing is checked out or staged, and no branch has moved.
    expect(repo.git('-C', repo.clone, 'status', '--porcelain')).toBe('');
    expect(repo.git('-C', repo.clone, 'for-each-ref', 'refs/jobrunner/')).toBe('');
    expect(existsSync(join(repo.clone, 'queue.csv'))).toBe(false);
  });

  test('simultaneous adds lose no row', async () => {
    make({ 'queue.csv': queueText([]) });
    const adds = await Promise.all([1, 2, 3, 4].map((n) => repo.queue(['add', `job.py ${n}`])));
    expect(adds.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(repo.statuses()).toHaveLength(4);
  });

  test('the same job, added several times at once, becomes as many rows', async () => {
    make({ 'queue.csv': queueText([]) });
    const adds = await Promise.all([1, 2, 3, 4].map(() => repo.queue(['add', 'job.py 1'])));
    expect(adds.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(repo.statuses()).toHaveLength(4);
  });

  test('a job is added once, and reported as added, when only the push’s reply is lost', async () => {
    make({ 'queue.csv': queueText([]) });
    repo.hook('post-receive', 'kill -KILL $PPID');
    const added = await repo.queue(['add', 'job.py 1']);
    expect(added).toMatchObject({ code: 0, stdout: 'queue.csv:2: job.py ["1"] {} ready\n' });
    expect(repo.statuses()).toEqual(['ready']);
  });

  test('one command resets all jobs of a long queue', async () => {
    const names = Array.from({ length: 5000 }, (_, i) => `n${i}`);
    make({ 'queue.csv': queueText([...names, 'a'], 'failed').replace(/failed\n$/, 'run\n') });
    const reset = await repo.queue(['reset', '--status', 'failed']);
    expect(reset.stdout).toBe('5000 jobs are ready again\n');
    expect(repo.show('queue.csv')).toBe(queueText([...names, 'a']).replace(/ready\n$/, 'run\n'));
  });

  test('each problem is one line with the remedy', async () => {
    make({ 'queue.csv': queueText(['a']) });
    const errors = await Promise.all([
      repo.queue(['list', '--queue-file', '../x.csv']),
      repo.queue(['list', '--queue-file', 'none.csv']),
      repo.queue(['list', '--branch', 'none']),
      repo.queue(['list', '--repo', 'ext::sh -c date']),
      repo.queue(['list', '--repo', 'https://me:secret@host.invalid/x.git']),
      repo.queue(['reset', '9']),
      repo.queue(['add', 'job.py "1']),
      repo.queue(['list', '--repo', repo.url], { XDG_CACHE_HOME: join(repo.clone, 'job.py') }),
    ]);
    expect(errors.map(({ code }) => code)).toEqual(errors.map(() => 1));
    const one = (fact: RegExp) =>
      expect.stringMatching(new RegExp(`^jobrunner: ${fact.source}.*\\n$`));
    expect(errors.map(({ stderr }) => stderr)).toEqual([
      one(/--queue-file: \.\.\/x\.csv\b/),
      one(/none\.csv: /),
      one(/.*\bbranch none\b/),
      one(/--repo: .*blank/),
      one(/--repo: (?!.*secret).*password/),
      one(/.*\bline 9\b/),
      one(/.*quote "/),
      one(/.*\/git-queue .*ENOTDIR.*XDG_CACHE_HOME/),
    ]);
  });
});

describe('a job', () => {
  test('that fails is tried again, and is failed after its last attempt, with the end of its log', async () => {
    make({ 'queue.csv': queueText(['a']) });
    const worked = await repo.queue(['work', '--max-job-attempts', '2'], {
      ...{ SLEEP_TIME: '0', MAX_ATTEMPTS: '2', JOB_EXIT: '3' },
    });
    expect(worked.code).toBe(1);
    expect(worked.stderr.match(/claimed/g)).toHaveLength(2);
    expect(repo.statuses()).toEqual(['failed']);
    expect(repo.records()).toMatchObject([
      { status: 'failed', attempts: 2, exit_code: 3, message: 'exit code 3', log: ["ran ['a']"] },
    ]);
    const { stdout } = await repo.queue(['list', '--status', 'failed']);
    expect(stdout).toMatch(/KWARGS +WHY\n2 +failed +2 .* job\.py +\["a"\] +\{\} +exit code 3\n$/);
  });

  test('leaves results: small ones are committed, large ones are kept and named with their digest', async () => {
    make({ 'queue.csv': queueText(['a']), 'results/old.txt': 'old' });
    repo.commit(
      {
        'job.py':
          'import os\nos.makedirs("results/deep")\nopen("results/deep/a b.txt","w").write("x")\nopen("results/big.bin","wb").truncate(3*1024*1024)\nos.symlink("/etc/passwd","results/link")\n',
      },
      'Another job',
    );
    await repo.queue(['work', '--max-result-mb', '2'], {
      ...{ MAX_ATTEMPTS: '1', XDG_CACHE_HOME: join(repo.folder, 'cache') },
    });
    expect(repo.files()).toContain('results/deep/a b.txt');
    expect(repo.files().filter((path) => path.startsWith('results/'))).toHaveLength(2);
    const [record] = repo.records();
    expect(record?.['results']).toEqual([
      {
        path: 'results/big.bin',
        size: 3 * 1024 ** 2,
        sha256: sha256(Buffer.alloc(3 * 1024 ** 2)),
        committed: false,
      },
      expect.objectContaining({ path: 'results/deep/a b.txt', committed: true }),
    ]);
    expect(readdirSync(join(repo.folder, 'cache/jobrunner/git-queue/large-results'))).toHaveLength(
      1,
    );
  });

  test('goes back to ready when its runner is stopped, ends with its processes, and counts no attempt', async () => {
    make({ 'queue.csv': queueText(['a']) });
    repo.commit(
      {
        'job.py':
          'import subprocess\np=subprocess.Popen(["sleep","1000.125"])\nprint("up",flush=True)\np.wait()\n',
      },
      'A job that lasts',
    );
    const runner = repo.work('w');
    await runner.until(/^up$/m);
    runner.child.kill('SIGINT');
    expect((await runner.ended).code).toBe(0);
    expect(repo.statuses()).toEqual(['ready']);
    expect(repo.records()).toMatchObject([{ status: 'ready', attempts: 0 }]);
    expect(commandLines()).not.toContain('sleep\x001000.125\0');
  });

  test('that leaves a daemon with its output still open counts as ended', async () => {
    make({ 'queue.csv': queueText(['a']) });
    repo.commit(
      {
        'job.py':
          'import subprocess\np=subprocess.Popen(["sleep","1000.375"],start_new_session=True)\nprint("daemon",p.pid)\n',
      },
      'A job that leaves a daemon',
    );
    const runner = repo.work('w', ['--max-attempts', '1', '--sleep', '0']);
    await runner.until(/^daemon \d+$/m);
    const daemon = Number(/^daemon (\d+)$/m.exec(runner.said())?.[1]);
    try {
      expect(await runner.ended).toMatchObject({ code: 0 });
    } finally {
      process.kill(daemon);
    }
    expect(repo.statuses()).toEqual(['run']);
    expect(repo.records()).toMatchObject([{ log: [`daemon ${daemon}`] }]);
  });

  test('is given back when its runner’s machine fails before the job runs, and counts no attempt', async () => {
    make({ 'queue.csv': queueText(['a', 'b']) });
    const worked = await repo.queue(['work'], { TMPDIR: join(repo.folder, 'none') });
    expect(worked.code).toBe(1);
    expect(worked.stderr).toMatch(/: again, ENOENT: .* mkdtemp[^]*\njobrunner: /);
    expect(repo.statuses()).toEqual(['ready', 'ready']);
    expect(repo.records()).toMatchObject([
      { status: 'ready', attempts: 0, message: expect.stringMatching(/^ENOENT: .* mkdtemp/) },
    ]);
  });

  test('counts as tried when its results cannot be kept, since it may be the cause; its runner ends', async () => {
    make({ 'queue.csv': queueText(['a', 'b']) });
    const cache = join(repo.folder, 'cache');
    mkdirSync(join(cache, 'jobrunner/git-queue'), { recursive: true });
    writeFileSync(join(cache, 'jobrunner/git-queue/large-results'), 'in the way');
    const worked = await repo.queue(['work', '--max-result-mb', '0'], { XDG_CACHE_HOME: cache });
    expect(worked.code).toBe(1);
    expect(repo.statuses()).toEqual(['ready', 'ready']);
    const [record, ...others] = repo.records();
    expect(others).toEqual([]);
    expect(record).toMatchObject({ status: 'ready', attempts: 1, exit_code: 0 });
    expect(record).toMatchObject({
      message: expect.stringMatching(/large-results/),
      log: [expect.stringMatching(/^ran /)],
    });
  });

  test('ends with a killed runner, and is taken over when the lease has expired', async () => {
    make({ 'queue.csv': queueText(['a']) });
    repo.commit(
      { 'slow.py': 'import time\nprint("up",flush=True)\ntime.sleep(1000.25)\n' },
      'Slow',
    );
    repo.commit({ 'queue.csv': queueText(['a']).replace('job.py', 'slow.py') }, 'Use it');
    // Twelve seconds, long enough for a live runner to renew its lease on a busy machine.
    const lease = ['--lease', '0.2'];
    const killed = repo.work('killed', lease);
    await killed.until(/^up$/m);
    killed.child.kill('SIGKILL');
    await killed.ended;
    const heir = repo.work('heir', [...lease, '--sleep', '1', '--max-attempts', '0']);
    await heir.until(/^up$/m);
    // Not git, which checks the script meanwhile.
    expect(commandLines().filter((line) => /^\S*python\S*\0.*slow\.py/.test(line))).toHaveLength(1);
    expect(repo.records()).toMatchObject([{ worker: 'heir', attempts: 2, status: 'running' }]);
    // Somebody takes the job from the runner, which then ends the job.
    await repo.queue(['reset', '2']);
    await heir.until(/lost; ending it/);
    await heir.until(/claimed[^]*claimed/);
    heir.child.kill('SIGTERM');
    await heir.ended;
    expect(repo.statuses()).toEqual(['ready']);
  });

  test('keeps its row when rows are inserted above it; equal rows are separate jobs', async () => {
    make({ 'queue.csv': queueText(['same', 'same']) });
    const gate = join(repo.folder, 'gate');
    const runner = repo.work('w', ['--max-attempts', '1'], { JOB_GATE: gate });
    await runner.until(/claimed/);
    repo.pushAgain(() =>
      repo.edit('queue.csv', (text) => {
        const [head, ...rest] = text.split('\n');
        return [head, 'job.py,"[""same""]",{},ready', 'job.py,"[""new""]",{},run', ...rest].join(
          '\n',
        );
      }),
    );
    writeFileSync(gate, '');
    await runner.ended;
    expect(repo.statuses()).toEqual(['run', 'run', 'run', 'run']);
    expect(repo.records()).toHaveLength(3);
  });
});

describe('a repository', () => {
  test('cannot act through hooks, filters, links or submodules', async () => {
    make({ 'queue.csv': queueText(['a']), '.gitattributes': '* filter=evil\n' });
    const seen = join(repo.folder, 'seen');
    repo.git('-C', repo.clone, 'config', 'core.hooksPath', '.githooks');
    for (const hook of ['pre-push', 'post-checkout', 'reference-transaction', 'post-commit'])
      writeFileSync(join(repo.clone, '.git', 'hooks', hook), `#!/bin/sh\ntouch ${seen}\n`, {
        mode: 0o755,
      });
    writeFileSync(
      join(repo.clone, '.gitmodules'),
      `[submodule "x"]\n\tpath = x\n\turl = ext::touch ${seen}\n`,
    );
    symlinkSync('/etc', join(repo.clone, 'etc'));
    repo.git(
      '-C',
      repo.clone,
      'update-index',
      '--add',
      '--cacheinfo',
      `160000,${'1'.repeat(40)},x`,
    );
    repo.push('Traps');
    const worked = await repo.queue(['work'], { MAX_ATTEMPTS: '1' });
    expect(worked.stderr).toContain("ran ['a']");
    expect(repo.statuses()).toEqual(['run']);
    expect(existsSync(seen)).toBe(false);
  });

  test('cannot name a script outside of itself, which is refused for good and never runs', async () => {
    const rows = ['../../etc/x.py', '/etc/hostname', 'link.py', 'gone.py', 'folder/out.py'];
    make({
      'queue.csv': `script,args,kwargs,status\n${rows.map((r) => `${r},,,ready\n`).join('')}`,
    });
    symlinkSync(join(repo.folder, 'outside.py'), join(repo.clone, 'link.py'));
    symlinkSync(repo.folder, join(repo.clone, 'folder'));
    for (const name of ['outside.py', 'out.py'])
      writeFileSync(join(repo.folder, name), 'print("ran outside")\n');
    repo.push('Links');
    const worked = await repo.queue(['work'], { MAX_ATTEMPTS: '1' });
    expect(worked.stderr).not.toContain('ran outside');
    expect(repo.statuses()).toEqual(rows.map(() => 'failed'));
    expect(
      repo
        .records()
        .map(({ message }) => String(message))
        .join('\n'),
    ).toMatch(/--allow-outside/);
    await repo.queue(['reset', '4']);
    const allowed = await repo.queue(['work', '--allow-outside'], { MAX_ATTEMPTS: '1' });
    expect(allowed.stderr).toContain('ran outside');
  });

  test('is refused when its queue is a link, too large, or behind a link', async () => {
    make({
      'big.csv': `${queueText([])}${'x'.repeat(17 * 1024 ** 2)}\n`,
      'real/queue.csv': queueText([]),
    });
    symlinkSync('/etc/passwd', join(repo.clone, 'queue.csv'));
    symlinkSync('real', join(repo.clone, 'behind'));
    repo.push('Links');
    const errors = await Promise.all(
      ['queue.csv', 'big.csv', 'behind/queue.csv'].map((file) =>
        repo.queue(['list', '--queue-file', file]),
      ),
    );
    expect(errors.map(({ stderr }) => stderr)).toEqual([
      expect.stringMatching(/^jobrunner: queue\.csv: .*regular file.*\n$/),
      expect.stringMatching(/^jobrunner: big\.csv: .*16 MiB.*\n$/),
      expect.stringMatching(/^jobrunner: behind\/queue\.csv: .*not found.*\n$/),
    ]);
  });

  test('may handle unreadable claims, which keep their number and are reported', async () => {
    make({ 'queue.csv': queueText(['a']) });
    await repo.queue(['work'], { MAX_ATTEMPTS: '1' });
    repo.pull();
    const path = repo.files().find((name) => name.startsWith('.jobrunner/')) ?? '';
    repo.commit({ [path]: '{"version": 1}', 'queue.csv': queueText(['a']) }, 'Spoil');
    const worked = await repo.queue(['work'], { MAX_ATTEMPTS: '1' });
    expect(worked.stderr).toContain(`${path}: script: `);
    expect(repo.statuses()).toEqual(['run']);
    expect(repo.files()).toContain(path.replace('-1.json', '-2.json'));
  });

  test('may refuse pushes, and its reason is shown', async () => {
    make({ 'queue.csv': queueText(['a']) });
    repo.preReceive('echo "only maintainers may push" >&2; exit 1');
    const added = await repo.queue(['add', 'job.py b']);
    expect(added).toMatchObject({ code: 1, stdout: '' });
    expect(added.stderr).toMatch(/\bmain: .*pre-receive hook declined/);
  });
});

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** The command lines of all processes on this machine. */
function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8')];
      } catch {
        return [];
      }
    });
}
