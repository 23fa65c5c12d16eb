import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../free-ports.js';
import { runStackOnce } from './live-stack.js';
import { makeRoot } from './prepared-root.js';

const repository = fileURLToPath(new URL('../..', import.meta.url));

let root: string;
let ports: Record<string, string>;
let taken: Server;

beforeAll(async () => {
  root = await makeRoot();
  const [api, slurmctld, slurmd, slurmdbd] = await freePorts(4);
  ports = {
    JR_PORT: String(api),
    JR_SLURMCTLD_PORT: String(slurmctld),
    JR_SLURMD_PORT: String(slurmd),
    JR_SLURMDBD_PORT: String(slurmdbd),
  };
  taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
});

afterAll(() => {
  taken.close();
  rmSync(root, { recursive: true });
});

/** Expects a refusal in one line, with nothing started or made. */
async function refused(env: Record<string, string>, line: RegExp): Promise<void> {
  const ended = await runStackOnce({ JR_ROOT: join(root, 'jr'), ...ports, ...env });
  expect(ended.stderr).toMatch(line);
  expect(ended.stderr.trim().split('\n')).toHaveLength(1);
  expect(ended.stdout).toBe('');
  expect(ended.code).toBe(2);
  if (env['JR_ROOT'] === undefined)
    expect(readdirSync(root).filter((name) => name !== 'jr')).toEqual([]);
}

test('a port in use is named with its setting', async () => {
  const port = String((taken.address() as AddressInfo).port);
  await refused(
    { JR_PORT: port, JR_HOST: '127.0.0.1' },
    new RegExp(`JR_PORT: .*\\b${port}\\b.* taken`),
  );
  await refused({ JR_SLURMCTLD_PORT: port }, /JR_SLURMCTLD_PORT: .* taken/);
});

test.each([
  ['JR_PORT', '80800', /JR_PORT: .*1 to 65535/],
  ['JR_NUM_CPUS', '0', /JR_NUM_CPUS: /],
  ['JR_NUM_GPUS', '1', /JR_NUM_GPUS: .*\b1\b.*\b0\b/],
  ['JR_REAL_MEM_MB', '60000000', /JR_REAL_MEM_MB: 60000000 .*\d+ MiB/],
  ['JR_MAX_TIME', 'forever', /JR_MAX_TIME: /],
  ['JR_MAX_UPLOAD_GB', '-1', /JR_MAX_UPLOAD_GB: /],
  ['JR_AUTH_TOKEN', 'short', /JR_AUTH_TOKEN: .*\b8\b/],
  ['JR_AUTH_TOKEN', 'change-me', /JR_AUTH_TOKEN: .*JR_HOST=127/],
  ['JR_TRUSTED_PROXIES', '1', /JR_TRUSTED_PROXIES: .*addresses/],
  ['JR_B2_ENABLE', '1', /JR_B2_ENABLE: .*JR_B2_KEY_ID.*JR_B2_APP_KEY/],
  ['JR_SLURMD_PORT', '6817', /JR_/],
  ['JR_PROT', '8080', /JR_PROT: /],
  ['JR_TEMPLATES', '/etc/hostname', /JR_TEMPLATES: .*\/etc\/hostname/],
  ['JR_SSH_NODES', '/no/such/file', /JR_SSH_NODES: \/no\/such\/file: .*ENOENT/],
  ['JR_ROOT', 'relative', /JR_ROOT: .*absolute/],
  ['JR_ROOT', '/proc/jobrunner', /JR_ROOT: .*\/proc\/jobrunner/],
])('%s=%s is refused in one line', async (name, value, line) => {
  const settings = name === 'JR_SLURMD_PORT' ? { JR_SLURMCTLD_PORT: value, [name]: value } : {};
  await refused({ ...settings, [name]: value }, line);
});

test.each([
  ['hosts:\n  - {name: a, host: h}\n', 0o600, /JR_SSH_NODES: .*hosts\.a\.user: /],
  ['hosts: []\n', 0o666, /JR_SSH_NODES: .*owner/],
  [
    'hosts:\n  - {name: a, host: h, user: u, identity_file: /etc/passwd}\n',
    0o600,
    /JR_SSH_NODES: .*hosts\.a\.identity_file: \/etc\/passwd .*private key/,
  ],
  [
    'hosts:\n  - {name: a, host: h, user: u, password_variable: JR_SSH_PASSWORD_A}\n',
    0o600,
    /JR_SSH_NODES: .*hosts\.a\.password_variable: JR_SSH_PASSWORD_A/,
  ],
])('SSH hosts %j with mode %i are refused in one line', async (text, mode, line) => {
  const file = join(root, 'jr', 'nodes.yaml');
  mkdirSync(join(root, 'jr'), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
  await refused({ JR_SSH_NODES: file }, line);
});

test('a folder that the daemons’ users cannot reach is refused', async () => {
  const closed = join(root, 'closed');
  mkdirSync(closed, { mode: 0o700 });
  await refused({ JR_ROOT: join(closed, 'jr') }, /JR_ROOT: .*\bjobrunner cannot reach /);
  rmSync(closed, { recursive: true });
});

test('a nearly full disk is refused', async () => {
  const disk = join(root, 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=100m', 'tmpfs', disk]);
  try {
    await refused({ JR_ROOT: disk }, /JR_ROOT: .* MiB .*\b512\b/);
  } finally {
    execFileSync('umount', [disk]);
    rmSync(disk, { recursive: true });
  }
});

test('a read-only JR_ROOT is refused', async () => {
  const disk = join(root, 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', disk]);
  try {
    await refused({ JR_ROOT: join(disk, 'jr') }, /JR_ROOT: .*\(EROFS\)/);
  } finally {
    execFileSync('umount', [disk]);
    rmSync(disk, { recursive: true });
  }
});

test('run.sh reports in one line that it needs root', async () => {
  const child = spawn('setpriv', ['--reuid=65534', '--clear-groups', 'bash', '-s'], { cwd: '/' });
  // The script comes on standard input, since other users may not be able to read the clone.
  const script = execFileSync('cat', [join(repository, 'run.sh')]).toString();
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.end(script);
  // Not at `exit`: its last output may still be in the pipe.
  const [code] = (await once(child, 'close')) as [number];
  expect(stderr).toMatch(/^run\.sh: run it as root .*\n$/);
  expect(code).toBe(2);
});

test('run.sh has --help and refuses unknown options', () => {
  const runSh = join(repository, 'run.sh');
  expect(execFileSync(runSh, ['--help']).toString()).toMatch(/^Usage: \.\/run\.sh/);
  writeFileSync(join(root, 'out'), '');
  expect(() => execFileSync(runSh, ['--nonsense'], { stdio: 'pipe' })).toThrow(/unknown option/);
});
