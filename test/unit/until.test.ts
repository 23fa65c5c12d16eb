import { expect, test } from '@jest/globals';
import { until } from '../until.js';

test('returns the first value that is neither undefined nor false', async () => {
  const values = [undefined, false, 0];
  expect(await until('a value', () => values.shift())).toBe(0);
});

test('fails with the condition and the last finding once the deadline has passed', async () => {
  let asked = 0;
  const waits = until(
    'the job runs',
    (saw) => {
      saw({ status: 'PENDING', asked: ++asked });
      return false;
    },
    { deadline: 100 },
  );
  await expect(waits).rejects.toThrow(
    /^not so within 0\.1 s: the job runs; last seen: \{ status: 'PENDING', asked: [2-9] \}$/,
  );
});

test('an error of the probe ends the wait', async () => {
  const probe = () => Promise.reject(new Error('no such job'));
  await expect(until('the job runs', probe)).rejects.toThrow('no such job');
});
