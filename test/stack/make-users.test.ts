import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execa } from 'execa';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const makeUsers = fileURLToPath(new URL('../../docker/make-users.sh', import.meta.url));

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'jr-etc-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/**
 * Runs `script` with a private copy of /etc without users of jobs; a second run sees the same copy.
 */
async function inOwnEtc(script: string) {
  const prepare = `set -e
    cd ${folder}
    if [ ! -e etc ]; then
      mkdir home lib
      cp -a /etc etc
      sed -i -E '/^jr-job[0-9]+:/d; /:(59|60)[0-9]{3}:/d' etc/passwd etc/group etc/shadow etc/gshadow etc/subuid etc/subgid
    fi
    mount --bind etc /etc
    mount --bind home /home
    mount --bind lib /usr/local/lib
    mkdir -p /home/runner
    export JR_JOB_USERS=3`;
  const command = ['--mount', 'bash', '--norc', '-c', `${prepare}\n${script}`];
  return execa('unshare', command, { reject: false, extendEnv: false, env: { PATH: path } });
}

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

test('another user with the number of a user of jobs is named, and nothing is made', async () => {
  for (const [make, remove] of [
    ['useradd --uid 59998 somebody', 'userdel somebody'],
    ['groupadd --gid 59998 somebody', 'groupdel somebody'],
    ['useradd --no-user-group --gid 100 jr-job2', 'userdel jr-job2'],
  ] as const) {
    const { exitCode, stdout, stderr } = await inOwnEtc(
      `${make}; cp /etc/passwd before; ${makeUsers} && exit 9; cmp before /etc/passwd && echo same; ${remove}`,
    );
    expect([exitCode, stdout]).toEqual([0, 'same']);
    expect(stderr).toMatch(/^\/etc\/(passwd|group): (somebody|jr-job2):/m);
    expect(stderr).toMatch(/in the way: .* users and groups 60000 down to 59998/);
  }
});

test('nobody can log in as a user of jobs, and other users keep the usual numbers', async () => {
  const { exitCode, stdout } = await inOwnEtc(
    `${makeUsers}; cp /etc/passwd before
     ${makeUsers}; cmp before /etc/passwd
     gpasswd --delete jobrunner jr-job3 >&2; ${makeUsers}
     getent passwd jr-job1 jr-job3 | cut -d: -f3,4,6
     getent shadow jr-job1 | cut -d: -f2,8
     ! grep jr-job /etc/subuid /etc/subgid
     id -nG jobrunner | tr ' ' '\\n' | grep -c '^jr-job'
     useradd person; [ "$(id -u person)" -lt 59000 ] && echo usual`,
  );
  expect(exitCode).toBe(0);
  expect(stdout.split('\n')).toEqual([
    '60000:60000:/home/jr-jobs/1',
    '59998:59998:/home/jr-jobs/3',
    '!:1',
    '3',
    'usual',
  ]);
});
