import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { environmentSchema } from '../../src/config/environment.js';
import { ConfigError } from '../../src/config/config-error.js';
import { localUrl, readConfig } from '../../src/config/config.js';
import { publicSettings } from '../../src/config/secrets.js';
import { judgeToken } from '../../src/config/weak-token.js';

const root = '/nonexistent/jr';

describe('settings', () => {
  test('have the documented defaults', () => {
    const config = readConfig({ JR_ROOT: root });
    expect(config).toMatchObject({
      host: '0.0.0.0',
      port: 8080,
      authToken: undefined,
      limits: { uploadBytes: 0, extractBytes: 0, extractFiles: 1_000_000 },
      node: { gpus: undefined, gpuType: 'nvidia', maxTime: '7-00:00:00', useCgroups: false },
      b2: undefined,
    });
    expect(localUrl(config)).toBe('http://127.0.0.1:8080');
  });

  test('may be fractions of gigabytes, and empty ones count as unset', () => {
    const config = readConfig({ JR_ROOT: root, JR_MAX_UPLOAD_GB: '0.5', JR_PORT: '' });
    expect(config.limits.uploadBytes).toBe(512 * 1024 ** 2);
    expect(config.port).toBe(8080);
  });

  test('that are wrong are all named at once, and misspelt ones are not ignored', () => {
    const wrong = { JR_ROOT: root, JR_PORT: 'x', JR_MAX_TIME: '0', JR_USE_CGROUPS: 'maybe' };
    expect(() => readConfig(wrong)).toThrow(
      /JR_PORT: .*; JR_MAX_TIME: .*; JR_USE_CGROUPS: expected 0 or 1/,
    );
    expect(() => readConfig({ JR_AUTH_TOKN: 'x' })).toThrow(
      new ConfigError(
        'JR_AUTH_TOKN: no such setting (did you mean JR_AUTH_TOKEN?); see docs/settings.md',
      ),
    );
    expect(() => readConfig({ JR_ROOT: root, JR_SLURMD_PORT: '8080' })).toThrow(/JR_PORT/);
  });

  test('that are wrong are reported without a secret’s value', () => {
    const secret = 'a secret with spaces';
    const read = () => readConfig({ JR_ROOT: root, JR_AUTH_TOKEN: secret });
    expect(read).toThrow('JR_AUTH_TOKEN');
    expect(read).not.toThrow(secret);
  });

  test('name trusted proxies by address or network, not by number', () => {
    const proxies = (text: string) =>
      readConfig({ JR_ROOT: root, JR_TRUSTED_PROXIES: text }).trustedProxies;
    expect(proxies('127.0.0.1, 10.0.0.0/8,::1,loopback')).toEqual([
      ...['127.0.0.1', '10.0.0.0/8', '::1', 'loopback'],
    ]);
    expect(proxies('0')).toEqual([]);
    for (const wrong of ['1', '2', 'proxy.example', '10.0.0.0/33', '0.0.0.0/0', '10.0.0.0/8/8'])
      expect(() => proxies(wrong)).toThrow(/^JR_TRUSTED_PROXIES: /);
  });

  test('name the hosts that browsers may use, the public one among them', () => {
    const hosts = (text: string) =>
      readConfig({
        JR_ROOT: root,
        JR_ALLOWED_HOSTS: text,
        JR_PUBLIC_URL: 'https://jobs.example.com:8443/',
      }).allowedHosts;
    expect(hosts('A.example.org,*.example.net')).toEqual([
      ...['a.example.org', '*.example.net', 'jobs.example.com'],
    ]);
    expect(() => hosts('jobs.example.com:443')).toThrow(/^JR_ALLOWED_HOSTS: /);
    expect(() => hosts('*.*')).toThrow(/^JR_ALLOWED_HOSTS/);
  });

  test('are passed to the API without the secrets', () => {
    const env = { JR_PORT: '1', JR_AUTH_TOKEN: 't', JR_B2_APP_KEY: 'k', PATH: '/bin', JR_HOST: '' };
    expect(publicSettings(env)).toEqual({ JR_PORT: '1' });
  });

  test('for B2 find the region in the endpoint', () => {
    const b2 = { JR_B2_ENABLE: '1', JR_B2_KEY_ID: 'id', JR_B2_APP_KEY: 'key', JR_ROOT: root };
    expect(readConfig(b2).b2).toMatchObject({ region: 'us-west-004', mount: '/mnt/b2' });
    const other = { ...b2, JR_B2_ENDPOINT: 'http://127.0.0.1:9000' };
    expect(readConfig(other).b2?.region).toBe('us-east-1');
  });
});

describe('the owner’s token', () => {
  const judge = (authToken: string | undefined, host = '0.0.0.0') =>
    judgeToken({ authToken, host });

  test('of examples is refused, unless only this machine can send it', () => {
    for (const token of ['change-me', 'CHANGE_ME', 'changeme', 'password', 'xxxxxxxx']) {
      expect(() => judge(token)).toThrow(ConfigError);
      for (const host of ['127.0.0.1', '::1', 'localhost'])
        expect(judge(token, host)).toBeUndefined();
    }
    expect(() => judge('change-me')).toThrow(
      'JR_AUTH_TOKEN: everybody tries this one first, and the API listens on 0.0.0.0; leave it unset to have one made, choose another ("openssl rand -hex 16"), or set JR_HOST=127.0.0.1',
    );
  });

  test('that is short brings a warning without it', () => {
    expect(judge('super-secret')).toMatch(/^JR_AUTH_TOKEN is shorter than 16 characters/);
    expect(judge('super-secret')).not.toContain('super-secret');
    expect(judge('super-secret', '::')).toBeDefined();
    expect(judge('super-secret', '127.0.0.1')).toBeUndefined();
    expect(judge('sixteen-letters-')).toBeUndefined();
    expect(judge(undefined)).toBeUndefined();
  });
});

test('settings of a git queue name a missing one, and include the old tool’s variables', () => {
  const over = (more: Record<string, string>) => () =>
    readConfig({ JR_GITQUEUE_REPO: 'git@git.example:team/queue.git', ...more });
  expect(over({})).toThrow(/JR_GITQUEUE_SSH_KEY_FILE and JR_GITQUEUE_KNOWN_HOSTS/);
  expect(over({ JR_GITQUEUE_REPO: '/srv/queue.git' })).toThrow(/JR_GITQUEUE_LOCAL=1/);
  expect(over({ JR_GITQUEUE_REPO: 'ext::sh' })).toThrow(
    /^JR_GITQUEUE_REPO: the repository’s address/,
  );
  // Some hosts accept a token as the user name, so the error does not repeat it.
  const named = over({ JR_GITQUEUE_REPO: 'https://ghp_secret@git.example/queue.git' });
  expect(named).toThrow(/^JR_GITQUEUE_REPO: contains a user name, which may be a token/);
  expect(named).not.toThrow(/secret/);
  const https = { JR_GITQUEUE_REPO: 'https://git.example/queue.git' };
  expect(over({ ...https, JOBS_QUEUE_FILE: '/etc/passwd' })).toThrow(/^JOBS_QUEUE_FILE: expected/);
  expect(over({ ...https, RESULTS_DIR: 'a/../../b' })).toThrow(/^RESULTS_DIR: expected/);
  const given = { JOBS_QUEUE_FILE: 'a/b.csv', RESULTS_DIR: 'out', SLEEP_TIME: '7' };
  expect(over({ ...https, ...given, MAX_JOB_ATTEMPTS: '5' })().gitQueue).toMatchObject({
    ...{ queueFile: 'a/b.csv', resultsDir: 'out', seconds: 7, maxJobAttempts: 5, branch: 'main' },
  });
  expect(() => readConfig({ JR_GITQUEUE_TOKEN_FILE: '/root/queue-token' })).toThrow(
    'JR_GITQUEUE_TOKEN_FILE: set, but JR_GITQUEUE_REPO is not',
  );
  // Without a queue, variables with these names belong to other programs.
  expect(readConfig({ SLEEP_TIME: 'long' }).gitQueue).toBeUndefined();
});

test('docs/settings.md lists exactly the settings, with their defaults', () => {
  const page = readFileSync('docs/settings.md', 'utf8');
  const rows = [...page.matchAll(/^\| `(JR_\w+)` \| (.+?) \| (.+?) \|$/gm)];
  const documented = rows.map(([, name, shown, description]) => ({ name, shown, description }));
  const defaults = environmentSchema.shape;
  const plain: Record<string, unknown> = environmentSchema.parse({});
  const expected = Object.entries(defaults).map(([name, schema]) => {
    const { shown, description } = schema.meta() as { shown?: string; description: string };
    return { name, shown: shown ?? `\`${defaultOf(name, plain[name])}\``, description };
  });
  expect(documented).toEqual(expected);
});

/** The value as a person would set it. */
function defaultOf(name: string, value: unknown): string {
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (name.endsWith('_GB')) return String(Number(value) / 1024 ** 3);
  return String(value);
}
