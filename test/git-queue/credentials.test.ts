import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runGit, withoutCredentials } from '../../src/ingest/git-queue/git.js';
import { transportOf } from '../../src/config/git-transport.js';
import { serviceGit } from '../../src/ingest/git-queue/transport.js';

const token = 'glpat-very-secret';
let home: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'jr-git-'));
  writeFileSync(join(home, 'token'), `${token}\n`);
});
afterAll(() => rmSync(home, { recursive: true }));

const setup = () =>
  serviceGit({
    url: 'https://git.example:8443/team/queue.git',
    home,
    askpass: join(process.cwd(), 'libexec', 'git-askpass.sh'),
    credentials: { tokenFile: join(home, 'token'), username: 'oauth2' },
    mayUseFiles: false,
  });

/** Returns the credentials that git itself finds for a host. */
const fill = (host: string) =>
  runGit(setup(), ['credential', 'fill'], {
    input: Buffer.from(`protocol=https\nhost=${host}\n\n`),
  });

test('git gets the token for the host of the settings, and for no other', async () => {
  const { stdout } = await fill('git.example:8443');
  expect(stdout.toString()).toContain(`username=oauth2\npassword=${token}\n`);
  for (const other of [
    'git.example',
    'git.example:84430',
    'evil.example',
    'git.example:8443.evil.example',
  ])
    await expect(fill(other)).rejects.toThrow(/could not read Username|askpass/);
});

test('the token is in no environment, setting or address', () => {
  expect(JSON.stringify(setup())).not.toContain(token);
  expect(withoutCredentials(`fatal: https://me:${token}@git.example/x and ssh://me@h/x`)).toBe(
    'fatal: https://git.example/x and ssh://h/x',
  );
});

test.each([
  ['https://h/x', 'https'],
  ['ssh://git@h:22/x', 'ssh'],
  ['git@h:team/x.git', 'ssh'],
  ['file:///srv/x.git', 'file'],
  ['/srv/x.git', 'file'],
])('an address and its transport: %s', (url, transport) => {
  expect(transportOf(url)).toBe(transport);
});

test.each([
  'ext::sh -c id',
  'ext::id',
  'http://h/x',
  'git://h/x',
  'ftp://h/x',
  '-oProxyCommand=id',
  '--upload-pack=id',
  'https://u:p@h/x',
  'fd::3',
  '',
])('an unusable address: %s', (url) => {
  expect(() => transportOf(url)).toThrow(/the repository’s address/);
});
