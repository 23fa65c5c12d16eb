import { expect, test } from '@jest/globals';
import { setImmediate } from 'node:timers/promises';
import { SlurmError } from '../../src/cluster/slurm/command.js';
import { UserAccounts } from '../../src/jobs/user-accounts.js';
import { refusal } from '../refusal.js';

test('accounts are set one after another, each once, however many first jobs arrive at once', async () => {
  const done: string[] = [];
  let running = 0;
  // Stands in for sacctmgr, which fails only sometimes when it runs side by side.
  const setAccount = async (account: string, _limits: object, unixUser: string) => {
    running++;
    await setImmediate();
    expect(running--).toBe(1);
    done.push(`${account} ${unixUser}`);
  };
  const accounts = new UserAccounts({ setAccount }, () => ({ running: 1, shards: null }));
  const jobs = ['alice', 'bob', 'alice', 'bob', 'alice'];
  const given = await Promise.all(
    jobs.map((user) => accounts.accountFor({ user, unix_user: `jr-job-${user}` })),
  );
  expect(given).toEqual(jobs.map((user) => `jr-${user}`));
  expect(done).toEqual(['jr-alice jr-job-alice', 'jr-bob jr-job-bob']);
});

test('new limits that Slurm does not get count from the next job on', async () => {
  let most = 1;
  let isThere = true;
  const given: unknown[] = [];
  // Stands in for sacctmgr while slurmdbd is away.
  const setAccount = (_account: string, limits: object) => {
    if (!isThere) return Promise.reject(new SlurmError('unreachable', 'connection refused'));
    given.push(limits);
    return Promise.resolve();
  };
  const accounts = new UserAccounts({ setAccount }, () => ({ running: most, shards: null }));
  await accounts.accountFor({ user: 'alice', unix_user: 'jr-job1' });
  isThere = false;
  most = 2;
  await expect(accounts.limitsChanged('alice', 'jr-job1')).rejects.toEqual(
    refusal('slurm_unavailable'),
  );
  await accounts.limitsChanged('bob', null);
  isThere = true;
  await accounts.accountFor({ user: 'alice', unix_user: 'jr-job1' });
  expect(given).toEqual([
    { running: 1, shards: null },
    { running: 2, shards: null },
  ]);
});
