import { afterAll, expect, test } from '@jest/globals';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const libexec = fileURLToPath(new URL('../../libexec', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'jr-sudo-'));
afterAll(() => rmSync(work, { recursive: true }));

/**
 * The caller's own programs, under the names of all that the scripts call; each reports its run.
 */
function ownPrograms(): { path: string; ran: string } {
  const path = join(work, 'bin');
  const ran = join(work, 'ran');
  mkdirSync(path, { recursive: true });
  for (const name of [
    'stat',
    'find',
    'dirname',
    'readlink',
    'cat',
    'base64',
    'mktemp',
    'rm',
    'env',
  ]) {
    writeFileSync(join(path, name), `#!/bin/sh\n: >'${ran}'\nexit 1\n`);
    chmodSync(join(path, name), 0o755);
  }
  return { path, ran };
}

test.each([
  ['submit-job', ['--parsable']],
  ['submit-remote', ['1', '--partition=main']],
  ['set-node-state', ['box0', 'RESUME']],
  ['measure-jobs', []],
  ['run-job', []],
])(
  'a script that the API may run as another user runs no program from the caller’s PATH: %s',
  (name, args) => {
    const { path, ran } = ownPrograms();
    const folder = join(work, 'slurm/etc');
    mkdirSync(folder, { recursive: true });
    const conf = join(folder, 'slurm.conf');
    writeFileSync(conf, '');
    const script = join(work, name);
    cpSync(join(libexec, `${name}.sh`), script);
    cpSync(join(libexec, 'trusted-conf.sh'), join(work, 'trusted-conf'));
    const [, interpreter = '', option] =
      /^#!(\S+) ?(\S+)?/.exec(execFileSync('head', ['-n', '1', script]).toString()) ?? [];
    const command = [...(option === undefined ? [] : [option]), script, ...args];
    const { status } = spawnSync(interpreter, command, {
      env: { PATH: `${path}:/usr/bin:/bin`, SLURM_CONF: conf },
      input: Buffer.from('true\n').toString('base64'),
    });
    // The script ran: with an empty file of settings, Slurm's commands fail, and the job's own
    // command succeeds.
    expect(status).not.toBe(127);
    expect(existsSync(ran)).toBe(false);
  },
);
