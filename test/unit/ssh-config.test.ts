import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync, type ExecFileSyncOptions } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sshAlias, writeSshConfig } from '../../src/machines/ssh-hosts/ssh/config.js';
import type { ResolvedHost } from '../../src/cluster/ssh-hosts/resolved-hosts.js';

const login = { port: 22, user: 'gpu', identity_path: '/keys/gpu-0.0.key', password_path: null };
const host: ResolvedHost = {
  ...login,
  name: 'gpu-0',
  host: '10.0.0.2',
  proxy_jump: [{ ...login, host: 'jump.example' }],
  gpus: { count: 1, type: 'H100', memory_gb: 80 },
  cpus: 1,
  memory_gb: 4,
  workdir: 'jobrunner',
  labels: {},
  leaving: false,
};

/** ssh prints that it will not allocate a terminal. */
const quietly: ExecFileSyncOptions = { stdio: ['ignore', 'pipe', 'ignore'] };

let scratch: string;
/** Returns ssh's own reading of our file, by keyword. */
let settings: Map<string, string>;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'jr-ssh-config-'));
  const { path } = writeSshConfig(host, {
    scratch,
    knownHosts: '/keys/known_hosts',
    askpass: '/bin/false',
    aliveSeconds: 15,
  });
  const lines = execFileSync('ssh', ['-G', '-F', path, sshAlias(host)], quietly)
    .toString()
    .split('\n');
  settings = new Map(lines.map((line) => [line.split(' ')[0] ?? '', line.replace(/^\S+ /, '')]));
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

test('AES-GCM comes first, and then all of OpenSSH’s own ciphers', () => {
  const ciphers = settings.get('ciphers')?.split(',') ?? [];
  expect(ciphers[0]).toBe('aes128-gcm@openssh.com');
  const own = execFileSync('ssh', ['-G', '-F', '/dev/null', 'any'], quietly).toString();
  const [, usual = ''] = /^ciphers (.*)$/m.exec(own) ?? [];
  expect([...ciphers].sort()).toEqual(usual.split(',').sort());
});

test('an SSH host needs its known key, also behind jump hosts', () => {
  expect(Object.fromEntries(settings)).toMatchObject({
    stricthostkeychecking: 'true',
    userknownhostsfile: '/keys/known_hosts',
    globalknownhostsfile: '/dev/null',
    identityfile: '/keys/gpu-0.0.key',
    batchmode: 'yes',
    proxycommand: expect.stringMatching(/ -W '\[%h\]:%p' gpu-0-hop-0$/),
  });
});
