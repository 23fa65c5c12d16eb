import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../src/config/package-root.js';
import { parseHosts } from '../../src/cluster/ssh-hosts/hosts.js';
import type { ResolvedHost } from '../../src/cluster/ssh-hosts/resolved-hosts.js';
import { examine, judgeHost } from '../../src/machines/ssh-hosts/admin/examine.js';
import type { Visit } from '../../src/machines/ssh-hosts/admin/visit.js';
import {
  readCapacity,
  readGpus,
  whyTooSmall,
  type Capacity,
} from '../../src/machines/ssh-hosts/capacity.js';
import { readIdentity } from '../../src/machines/ssh-hosts/identity-file.js';
import { sshError } from '../../src/machines/ssh-hosts/ssh/errors.js';

const key = { identity_path: '/keys/gpu-0.0.key', password_path: null };
const host: ResolvedHost = {
  ...key,
  name: 'gpu-0',
  host: '10.0.0.2',
  port: 22,
  user: 'gpu',
  proxy_jump: [{ ...key, host: '10.0.0.1', port: 22, user: 'me' }],
  gpus: { count: 2, type: 'H100', memory_gb: 80 },
  cpus: 1,
  memory_gb: 4,
  workdir: 'jobrunner',
  labels: {},
  leaving: false,
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'jr-ssh-faults-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

// The words are those of OpenSSH 9.
const closed = 'Connection closed by UNKNOWN port 65535\r';
test.each([
  [
    'a jump host that refuses the login',
    `me@10.0.0.1: Permission denied (publickey).\r\n${closed}`,
    'denied',
    'its jump host 10.0.0.1 refuses the login of me (me@10.0.0.1: Permission denied (publickey)). Check the user; add the public half of its identity_file to ~me/.ssh/authorized_keys there',
  ],
  [
    'the host itself refusing it',
    'gpu@10.0.0.2: Permission denied (publickey).\r\n',
    'denied',
    'it refuses the login of gpu (gpu@10.0.0.2: Permission denied (publickey)). Check the user; add the public half of its identity_file to ~gpu/.ssh/authorized_keys there',
  ],
  [
    'a jump host that forwards nothing',
    `channel 0: open failed: administratively prohibited: open failed\r\nstdio forwarding failed\r\n${closed}`,
    'denied',
    'its jump host forwards no connection to 10.0.0.2:22 (channel 0: open failed: administratively prohibited: open failed). Allow it there: AllowTcpForwarding and PermitOpen in sshd_config',
  ],
  [
    'a connection without a name',
    'Connection to UNKNOWN port 65535 timed out\r\n',
    'unreachable',
    'cannot be reached (Connection to 10.0.0.2 port 22 timed out)',
  ],
])('%s is told with the remedy', (_, said, fault, words) => {
  const error = sshError(host, 255, said);
  expect([error.fault, error.message]).toEqual([fault, `SSH host gpu-0: ${words}`]);
});

test('a key that ssh cannot use is told with the remedy', async () => {
  const make = (name: string, passphrase: string) => {
    const path = join(folder, name);
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', passphrase, '-f', path]);
    return path;
  };
  const good = make('good', '');
  expect(await readIdentity(good)).toBe(readFileSync(good, 'utf8'));
  const encrypted = make('encrypted', 'secret');
  const text = join(folder, 'text');
  writeFileSync(text, 'no key\n');
  const renamed = join(folder, 'renamed');
  copyFileSync(`${good}.pub`, renamed);
  for (const [path, words] of [
    [join(folder, 'none'), 'none does not exist; name a private key, or make one with'],
    [folder, ' is not a file; name a private key'],
    [`${good}.pub`, `good.pub is a public key; name its private half, such as ${good}`],
    [renamed, 'renamed is a public key; name its private half'],
    [encrypted, `encrypted has a passphrase, which nobody could type; remove it with ssh-keygen`],
    [text, 'text is not a private key without a passphrase; make one with'],
  ] as const)
    await expect(readIdentity(path)).rejects.toThrow(words);
});

const gpu = { memoryMb: 81_920, model: 'NVIDIA H100' };
const row = '81920, NVIDIA H100';
test.each<[string, number | null, string[], Pick<Capacity, 'gpus' | 'gpuFault'>]>([
  ['no nvidia-smi', null, [], { gpus: [], gpuFault: null }],
  ['two GPUs', 0, [row, row, ''], { gpus: [gpu, gpu], gpuFault: null }],
  [
    'a driver that fails',
    9,
    ['NVIDIA-SMI has failed because it couldn’t communicate with the NVIDIA driver.'],
    {
      gpus: [],
      gpuFault:
        'nvidia-smi says: NVIDIA-SMI has failed because it couldn t communicate with the NVIDIA driver',
    },
  ],
  [
    'one lost GPU',
    0,
    [row, '[Unknown Error], NVIDIA H100'],
    { gpus: [gpu], gpuFault: 'nvidia-smi says: [Unknown Error], NVIDIA H100' },
  ],
  [
    'a warning beside its GPU',
    14,
    [row, 'WARNING: infoROM is corrupted at gpu 0000:00:1E.0'],
    { gpus: [gpu], gpuFault: 'nvidia-smi says: WARNING: infoROM is corrupted at gpu 0000:00:1E.0' },
  ],
  ['no words', 6, [], { gpus: [], gpuFault: 'nvidia-smi says: exit code 6' }],
  ['no answer', 124, [row], { gpus: [], gpuFault: 'nvidia-smi does not answer' }],
])('nvidia-smi with %s is understood', (_, code, lines, expected) => {
  expect(readGpus(code, lines)).toEqual(expected);
});

test('the facts of a host are compared with its file', () => {
  const found = { memoryMb: 4096, gpus: [gpu, gpu], gpuFault: null };
  expect(whyTooSmall(host, found)).toBeNull();
  // The driver and the kernel keep some.
  expect(whyTooSmall(host, { ...found, memoryMb: 3900 })).toBeNull();
  expect(whyTooSmall(host, { ...found, memoryMb: 2048 })).toBe(
    'has 2.0 GiB of memory; the hosts file says 4 GiB',
  );
  expect(whyTooSmall(host, { ...found, gpus: [gpu] })).toBe(
    'has 1 GPU (NVIDIA H100, 80.0 GiB); the hosts file says 2 of 80 GiB',
  );
  const small = { ...gpu, memoryMb: 40_960 };
  expect(whyTooSmall(host, { ...found, gpus: [gpu, small] })).toMatch(/^has 2 GPUs .*40\.0 GiB/);
  expect(whyTooSmall(host, { ...found, gpus: [], gpuFault: 'nvidia-smi says: no' })).toBe(
    'nvidia-smi says: no; the hosts file says 2 of 80 GiB',
  );
  const noGpus = { ...host, gpus: { ...host.gpus, count: 0 } };
  expect(whyTooSmall(noGpus, { ...found, gpus: [], gpuFault: 'x' })).toBeNull();
});

test('what a host says of its capacity is not believed blindly', () => {
  const from = (...fields: string[]) => readCapacity(Buffer.from(`${fields.join('\0')}\0`));
  expect(from('8388608', '0', row)).toEqual({ memoryMb: 8192, gpus: [gpu], gpuFault: null });
  expect(from('8388608', '', '')).toEqual({ memoryMb: 8192, gpus: [], gpuFault: null });
  expect(from('', '', '')).toBeUndefined();
  expect(from('1', 'x', '')).toBeUndefined();
  expect(readCapacity(Buffer.from('8388608'))).toBeUndefined();
  const many = from('1', '0', `${`1, ${'x'.repeat(1000)}\n`.repeat(10_000)}`);
  expect(JSON.stringify(many).length).toBeLessThan(20_000);
});

/** Runs the program for hosts here, with these programs in front of the real ones. */
async function examined(programs: Record<string, string>) {
  const bin = mkdtempSync(join(folder, 'bin-'));
  for (const [name, body] of Object.entries(programs))
    writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  const env = { HOME: join(bin, 'home'), PATH: `${bin}:/usr/bin:/bin` };
  mkdirSync(env.HOME);
  const [there] = parseHosts('hosts: [{ name: gpu-0, host: 10.0.0.2, user: gpu }]');
  if (there === undefined) throw new Error('no host');
  const call: Visit['call'] = (_host, _options, _command, input) => {
    const { status, stdout, stderr } = spawnSync('sh', ['-s'], { input, env, encoding: 'utf8' });
    return Promise.resolve({ resolved: host, code: status, stdout, stderr });
  };
  const found = await examine(there, { call } as Visit);
  if (found instanceof Error) throw found;
  return { found, verdicts: judgeHost(there, found) };
}

test('the free space of a host is what df says is available', async () => {
  const df = "printf 'Filesystem x\\n/dev/vd a1 90000 40000 52428800 77%% /home\\n'";
  const { found, verdicts } = await examined({ df });
  expect(found.diskFreeBytes).toBe(52_428_800 * 1024);
  expect(verdicts.find(({ check }) => check === 'disk')?.result).toBe('ok');
});

test('an nvidia-smi that fails is told in its own words', async () => {
  const { verdicts } = await examined({ 'nvidia-smi': 'echo "the driver is gone"; exit 9' });
  expect(verdicts.find(({ check }) => check === 'GPUs')).toMatchObject({
    result: 'warning',
    detail: expect.stringContaining('nvidia-smi says: the driver is gone'),
  });
});

test('the host program reports memory and nvidia-smi', () => {
  const bin = mkdtempSync(join(folder, 'bin-'));
  const body = '#!/bin/sh\necho "81920, NVIDIA H100"\necho oh >&2\nexit 3\n';
  writeFileSync(join(bin, 'nvidia-smi'), body, { mode: 0o755 });
  const program = readFileSync(join(packageRoot, 'libexec/ssh-host.sh'), 'utf8');
  const ask = (path: string) =>
    spawnSync('bash', ['-c', `set -- capacity; JR_MARK=mark\n${program}`], {
      env: { PATH: path },
    }).stdout;
  const after = (printed: Buffer) => readCapacity(printed.subarray('mark\n'.length));
  const memoryMb = expect.any(Number);
  const fault = 'nvidia-smi says: oh';
  expect(after(ask(`${bin}:/usr/bin:/bin`))).toEqual({ memoryMb, gpus: [gpu], gpuFault: fault });
  expect(after(ask('/usr/bin:/bin'))).toMatchObject({ memoryMb, gpuFault: null });
});
