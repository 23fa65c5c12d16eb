import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '../until.js';

const mainJs = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/**
 * A script that writes its job's name to a file of its own among the results, once the file
 * JOB_GATE exists.
 */
export const jobScript = `import os, sys, time
gate = os.environ.get("JOB_GATE")
while gate and not os.path.exists(gate):
    time.sleep(0.05)
time.sleep(float(os.environ.get("JOB_SECONDS", "0")))
name = sys.argv[1]
print("ran", sys.argv[1:])
with open(os.path.join(os.environ["RESULTS_DIR"], name + ".txt"), "w") as f:
    f.write(name)
sys.exit(int(os.environ.get("JOB_EXIT", "0")))
`;

/** The form of the old tool's files. */
export function queueText(jobs: readonly string[], status = 'ready'): string {
  return ['script,args,kwargs,status', ...jobs.map((name) => `job.py,"[""${name}""]",{},${status}`)]
    .map((line) => `${line}\n`)
    .join('');
}

/** A bare repository with a queue, and a clone of it, with real git. */
export class QueueRepo {
  readonly folder = mkdtempSync(join(tmpdir(), 'jr-queue-'));
  readonly bare = join(this.folder, 'queue.git');
  readonly clone = join(this.folder, 'clone');
  readonly #children = new Set<ChildProcess>();
  #account: { uid: number; gid: number } | undefined;

  constructor(files: Record<string, string>) {
    this.git('init', '--quiet', '--bare', '--initial-branch=main', this.bare);
    this.git('clone', '--quiet', this.bare, this.clone);
    this.git('-C', this.clone, 'checkout', '--quiet', '-b', 'main');
    this.commit(files, 'Begin');
  }

  /** Gives everything to a user, and acts as that user from then on. */
  giveTo(user: string): void {
    const id = (kind: string) => Number(execFileSync('id', [kind, user]).toString());
    execFileSync('chown', ['-R', `${user}:`, this.folder]);
    this.#account = { uid: id('-u'), gid: id('-g') };
  }

  get url(): string {
    return `file://${this.bare}`;
  }

  git(...args: string[]): string {
    return execFileSync('git', args, {
      env: this.env({}),
      stdio: ['ignore', 'pipe', 'pipe'],
      ...this.#account,
    }).toString();
  }

  /** Pushes as a person would, from the clone. */
  commit(files: Record<string, string>, message: string): void {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.clone, path)), { recursive: true });
      writeFileSync(join(this.clone, path), text);
    }
    this.push(message);
  }

  push(message: string): void {
    this.git('-C', this.clone, 'add', '--all');
    this.git('-C', this.clone, 'commit', '--quiet', '-m', message);
    this.git('-C', this.clone, 'push', '--quiet', '--set-upstream', 'origin', 'main');
  }

  pull(): void {
    this.git('-C', this.clone, 'pull', '--quiet', '--rebase');
  }

  /** Reads a file of the branch. */
  show(path: string, commit = 'main'): string {
    return this.git('-C', this.bare, 'show', `${commit}:${path}`);
  }

  files(commit = 'main'): string[] {
    return this.git('-C', this.bare, 'ls-tree', '-r', '--name-only', commit).trim().split('\n');
  }

  statuses(): string[] {
    return this.show('queue.csv')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(',').at(-1) ?? '');
  }

  /** Waits until all rows have that status. @param deadline in milliseconds */
  async untilAll(status: string, deadline?: number): Promise<void> {
    await this.until(
      `all rows are ${status}`,
      () => this.statuses().every((one) => one === status),
      deadline,
    );
  }

  /** Polls, since a repository does not report pushes. A failure shows the last commits. */
  async until(
    what: string,
    isSo: () => boolean | Promise<boolean>,
    deadline = 180_000,
  ): Promise<void> {
    const commits = () => this.git('-C', this.bare, 'log', '-5', '--stat', 'main');
    const probe = (saw: (finding: () => string) => void) => {
      saw(commits);
      return isSo();
    };
    await until(what, probe, { deadline });
  }

  /** A person whose push comes too late begins again with the newest state. */
  pushAgain(change: () => void): void {
    for (;;) {
      this.git('-C', this.clone, 'fetch', '--quiet');
      this.git('-C', this.clone, 'reset', '--quiet', '--hard', 'origin/main');
      change();
      this.git('-C', this.clone, 'commit', '--quiet', '--all', '-m', 'By hand');
      try {
        this.git('-C', this.clone, 'push', '--quiet', 'origin', 'HEAD:main');
        return;
      } catch (error) {
        if (!String(error).includes('rejected')) throw error;
      }
    }
  }

  edit(path: string, change: (text: string) => string): void {
    const file = join(this.clone, path);
    writeFileSync(file, change(readFileSync(file, 'utf8')));
  }

  append(path: string, text: string): void {
    this.edit(path, (old) => old + text);
  }

  /** Returns the claims, as written. */
  records(): Record<string, unknown>[] {
    // From one commit, since others may push meanwhile.
    const commit = this.git('-C', this.bare, 'rev-parse', 'main').trim();
    return this.files(commit)
      .filter((path) => path.startsWith('.jobrunner/'))
      .map((path) => JSON.parse(this.show(path, commit)) as Record<string, unknown>);
  }

  /** Sets a hook of the repository, which refuses a push by its exit code. */
  preReceive(script: string): void {
    this.hook('pre-receive', script);
  }

  /** Sets a hook of the repository (githooks(5)). */
  hook(name: string, script: string): void {
    const path = join(this.bare, 'hooks', name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
  }

  /** Runs `jobrunner queue …` in the clone until it ends. */
  queue(args: string[], env: Record<string, string> = {}, cwd = this.clone) {
    return new Promise<{ code: number; stdout: string; stderr: string }>((fulfil) => {
      execFile(
        process.execPath,
        [mainJs, 'queue', ...args],
        { cwd, env: this.env(env), maxBuffer: 64 * 1024 ** 2 },
        (error, stdout, stderr) =>
          fulfil({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
      );
    });
  }

  /** Starts `jobrunner queue work` on its own copy. */
  work(name: string, args: string[] = [], env: Record<string, string> = {}) {
    const options = ['--repo', this.url, '--worker', name, '--debug', ...args];
    const child = spawn(process.execPath, [mainJs, 'queue', 'work', ...options], {
      cwd: this.folder,
      env: { ...this.env(env), XDG_CACHE_HOME: join(this.folder, 'cache', name) },
      stdio: ['ignore', 'ignore', 'pipe'],
      ...this.#account,
    });
    this.#children.add(child);
    let said = '';
    let isClosed = false;
    child.once('close', () => (isClosed = true));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    return {
      child,
      said: () => said,
      /** Resolves once the runner has printed that. */
      until: async (pattern: RegExp) => {
        while (!pattern.test(said)) {
          if (isClosed) throw new Error(`runner ${name} ended: ${said}`);
          await Promise.race([once(child.stderr, 'data'), once(child, 'close')]);
        }
      },
      ended: once(child, 'close').then(() => ({ code: child.exitCode, said: said.slice(-2000) })),
    };
  }

  remove(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Excludes the tester's own settings. */
  env(more: Record<string, string>): Record<string, string> {
    return {
      PATH: process.env['PATH'] ?? '',
      HOME: this.folder,
      TMPDIR: this.folder,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_AUTHOR_NAME: 'tester',
      GIT_AUTHOR_EMAIL: 'tester@localhost',
      GIT_COMMITTER_NAME: 'tester',
      GIT_COMMITTER_EMAIL: 'tester@localhost',
      ...more,
    };
  }
}
