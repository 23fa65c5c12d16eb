import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { URL, fileURLToPath } from 'node:url';
import { execa } from 'execa';

const runners = 12;
const jobs = 50;
/** Wasted pushes for each job. */
const target = 3;
const mainJs = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** @type {import('../main.js').Figure} */
export const gitQueue = {
  name: 'git-queue',
  how:
    `**git-queue**: ${runners} runners (\`jobrunner queue work\`), each with its own copy, work ` +
    `on ${jobs} jobs of 0.2 s in a bare repository on this disk (\`file://\`). A push is wasted ` +
    'when the repository refuses it because another runner’s push came first. The runners ' +
    'count these pushes and report them with `--debug`. All jobs must be `run` at the end. ' +
    'The time is from the first runner’s start until the last runner has found no job three ' +
    'times.',
  async measure(workspace) {
    const folder = join(workspace.root, 'git-queue');
    await mkdir(folder);
    const repo = await makeRepository(folder);
    const from = performance.now();
    const said = await Promise.all(
      Array.from({ length: runners }, (_, i) => work(workspace, folder, repo, `w${i}`)),
    );
    const seconds = (performance.now() - from) / 1000;
    const { stdout } = await git(folder, '--git-dir', repo, 'show', 'main:queue.csv');
    const left = stdout.split('\n').filter((line) => /,(ready|running|failed)$/.test(line));
    if (left.length > 0) throw new Error(`${left.length} jobs were not run`);
    const counts = said.map((text) => /pushes: (\d+) taken, (\d+) refused/.exec(text));
    const sum = (/** @type {number} */ i) =>
      counts.reduce((total, count) => total + Number(count?.[i] ?? NaN), 0);
    const once = { name: 'jobs', values: [jobs] };
    return [
      {
        what: `wasted pushes of ${runners} git-queue runners on ${jobs} jobs`,
        unit: 'pushes',
        ours: [sum(2)],
        rival: once,
        target,
      },
      { what: 'pushes that succeeded', unit: 'pushes', ours: [sum(1)], rival: once },
      { what: 'time for all these jobs', unit: 's', ours: [seconds] },
    ];
  },
};

/** @param {string} folder */
async function makeRepository(folder) {
  const repo = join(folder, 'queue.git');
  const clone = join(folder, 'clone');
  await git(folder, 'init', '--quiet', '--bare', '--initial-branch=main', repo);
  await git(folder, 'clone', '--quiet', repo, clone);
  const rows = Array.from({ length: jobs }, (_, i) => `job.py,"[""${i}""]",{},ready`);
  await writeFile(
    join(clone, 'queue.csv'),
    `${['script,args,kwargs,status', ...rows].join('\n')}\n`,
  );
  await writeFile(join(clone, 'job.py'), 'import time\ntime.sleep(0.2)\n');
  await git(clone, 'add', '--all');
  await git(clone, 'commit', '--quiet', '--message', 'Fifty jobs');
  await git(clone, 'push', '--quiet', 'origin', 'HEAD:main');
  return repo;
}

/**
 * @param {string} cwd
 * @param {string[]} args
 */
function git(cwd, ...args) {
  return execa('git', ['-c', 'user.name=bench', '-c', 'user.email=bench@localhost', ...args], {
    cwd,
    env: { GIT_CONFIG_GLOBAL: '/dev/null' },
  });
}

/**
 * @param {import('../workspace.js').Workspace} workspace
 * @param {string} folder
 * @param {string} repo
 * @param {string} name
 * @returns {Promise<string>} the runner's log
 */
async function work(workspace, folder, repo, name) {
  const args = ['queue', 'work', '--repo', `file://${repo}`, '--worker', name, '--debug'];
  const child = spawn(process.execPath, [mainJs, ...args], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      TMPDIR: folder,
      XDG_CACHE_HOME: join(folder, name),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
    signal: workspace.signal,
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`runner ${name} ended with ${code}: ${said.slice(-500)}`);
  return said;
}
