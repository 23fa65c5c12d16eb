import { readFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, URL } from 'node:url';

/**
 * Collects the facts that a reader needs to judge the figures.
 * @param {import('./workspace.js').Workspace} workspace
 * @returns {Promise<string[]>} one fact in each line
 */
export async function describeMachine(workspace) {
  const cores = cpus();
  const [fileSystem, commit, nginx, ...tools] = await Promise.all([
    firstLine('findmnt', ['-n', '-o', 'FSTYPE,SOURCE', '-T', workspace.root]),
    sourceState(),
    firstLine('nginx', ['-v']),
    firstLine('tar', ['--version']),
    firstLine('gzip', ['--version']),
    firstLine('xz', ['--version']),
    firstLine('curl', ['--version']),
    // The command requires a configuration even for its version.
    firstLine('slurmctld', ['-V']),
    firstLine('ssh', ['-V']).then((line) => line.replace('OpenSSH_', 'OpenSSH ')),
  ]);
  const os = /^PRETTY_NAME="?([^"\n]*)/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1];
  return [
    `Date: ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC; JobRunner ${commit}`,
    `Machine: ${cores[0]?.model ?? 'unknown CPU'}, ${cores.length} cores, ${(totalmem() / 1024 ** 3).toFixed(1)} GiB memory`,
    `System: ${os ?? 'unknown'}, Linux ${release()}, ${fileSystem.replace(/\s+/, ' on ')} (both sides on the same file system)`,
    `Versions: Node ${process.versions.node}; rivals: ${[nginx, ...tools].map(shortVersion).join(', ')}`,
  ];

  /**
   * @param {string} file
   * @param {string[]} args
   */
  async function firstLine(file, args) {
    const { all } = await workspace.run(file, args, { all: true });
    return String(all).split('\n')[0] ?? '';
  }

  /** Names the commit, and whether the tested code may differ from it. */
  async function sourceState() {
    const cwd = fileURLToPath(new URL('..', import.meta.url));
    const { version } = JSON.parse(await readFile(`${cwd}/package.json`, 'utf8'));
    const head = await workspace.run('git', ['rev-parse', '--short', 'HEAD'], {
      cwd,
      reject: false,
    });
    // A release without its repository is named by its version only.
    if (head.failed) return version;
    const changed = await workspace.run('git', ['status', '--porcelain', '--', 'src'], { cwd });
    const newer = await workspace.run(
      'find',
      ['src', 'package.json', '-newer', 'dist/main.js', '-type', 'f'],
      { cwd },
    );
    return [
      `${version} (${head.stdout}${changed.stdout === '' ? '' : ', with changes that are not committed'})`,
      ...(newer.stdout === '' ? [] : ['**dist/ is older than src/: run npm run build**']),
    ].join(', ');
  }
}

/**
 * Shortens the output of `--version`: `nginx version: nginx/1.22.1` becomes nginx 1.22.1.
 * @param {string} line
 */
function shortVersion(line) {
  const [, name, version] = /^(?:nginx version: )?([\w-]+)\b\D*(\d[\w.]*)/.exec(line) ?? [];
  return name === undefined ? line : `${name} ${version}`;
}

const sampleMs = 1500;

/**
 * Measures the CPU use of other programs while the benchmark rests.
 * @param {import('./workspace.js').Workspace} workspace
 * @returns {Promise<number>} share of all CPUs that was not idle, 0–1
 */
export async function otherWork(workspace) {
  const before = cpuTimes();
  await delay(sampleMs, undefined, { signal: workspace.signal });
  const after = cpuTimes();
  return 1 - (after.idle - before.idle) / (after.all - before.all);
}

function cpuTimes() {
  const times = cpus().map((cpu) => cpu.times);
  const sum = (/** @type {number[]} */ values) => values.reduce((a, b) => a + b, 0);
  return {
    idle: sum(times.map(({ idle }) => idle)),
    all: sum(times.flatMap((kinds) => Object.values(kinds))),
  };
}
