import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { ConfigError } from '../../config/config-error.js';
import type { Layout } from '../../config/layout.js';

/**
 * Adds the cluster and its users to slurmdbd. The API's user becomes an Operator: it may cancel,
 * hold and requeue any job and drain nodes, without root (slurm.schedmd.com/user_permissions.html).
 */
export async function makeSlurmAccounts(layout: Layout): Promise<void> {
  const listed = async (what: string, format: string) =>
    (await sacctmgr('--noheader', '--parsable2', 'list', what, `format=${format}`)).split('\n');
  const [clusters, accounts, users] = await Promise.all([
    listed('cluster', 'cluster'),
    listed('account', 'account'),
    listed('user', 'user,adminlevel'),
  ]);
  // sacctmgr fails when it adds an entry a second time.
  if (!clusters.includes('jobrunner')) await sacctmgr('add', 'cluster', 'jobrunner');
  if (!accounts.includes('main'))
    await sacctmgr('add', 'account', 'main', 'description=jobs', 'organization=jobrunner');
  const missing = ['runner', 'jr-remote'].filter(
    (name) => !users.some((line) => line.startsWith(`${name}|`)),
  );
  if (missing.length > 0) await sacctmgr('add', 'user', missing.join(','), 'account=main');
  if (!users.includes('jobrunner|Operator'))
    await sacctmgr('add', 'user', 'jobrunner', 'account=main', 'adminlevel=Operator');

  async function sacctmgr(...args: string[]): Promise<string> {
    const { stdout } = await execa('sacctmgr', ['--immediate', ...args], {
      env: { PATH: '/usr/bin:/bin', SLURM_CONF: layout.slurmConf },
      extendEnv: false,
      timeout: 30_000,
    });
    return stdout;
  }
}

/**
 * Makes the database that slurmdbd writes to, once. An abort by `signal` leaves nothing.
 * @throws ConfigError on failure
 */
export async function makeDatabase(layout: Layout, signal: AbortSignal): Promise<void> {
  if (existsSync(join(layout.mysqlData, 'mysql'))) return;
  // Make it aside and rename it, so that an interrupted start leaves no partial database.
  const fresh = `${layout.mysqlData}.new`;
  rmSync(fresh, { recursive: true, force: true });
  const options = [
    '--no-defaults',
    `--datadir=${fresh}`,
    // A starting server removes the temporary tables it finds: in /tmp those of every other server.
    `--tmpdir=${layout.mysqlRun}`,
    '--user=mysql',
    '--auth-root-authentication-method=socket',
    '--skip-test-db',
    '--skip-name-resolve',
  ];
  // A script that starts other programs: a process group of their own can be ended as one.
  const made = execa('mariadb-install-db', options, { reject: false, detached: true });
  const end = () => {
    if (made.pid !== undefined) process.kill(-made.pid, 'SIGTERM');
  };
  signal.addEventListener('abort', end);
  const { failed, stderr, stdout, shortMessage } = await made;
  signal.removeEventListener('abort', end);
  if (signal.aborted) {
    rmSync(fresh, { recursive: true, force: true });
    return;
  }
  if (failed) {
    const errors = `${stdout}\n${stderr}`.split('\n').filter((line) => line.includes('ERROR'));
    throw new ConfigError(
      `cannot make the accounting database in ${fresh}: ${errors.join('; ') || shortMessage}`,
    );
  }
  rmSync(layout.mysqlData, { recursive: true });
  renameSync(fresh, layout.mysqlData);
}
