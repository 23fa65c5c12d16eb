import { expect, test } from '@jest/globals';
import { setImmediate } from 'node:timers/promises';
import { UserAccounts } from '../../src/jobs/user-accounts.js';

test('accounts are set one after another, each once, however many first jobs come at once', async () => {
  const done: string[] = [];
  let running = 0;
  // Stands in for sacctmgr, which fails only now and then when it is run side by side.
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
