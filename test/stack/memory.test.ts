import { expect, test } from '@jest/globals';
import { LiveStack } from './live-stack.js';
import { until } from '../until.js';

test('a job above its memory limit is killed even if Slurm itself may not check it, as in a container', async () => {
  const withoutPtrace = ['setpriv', '--bounding-set', '-sys_ptrace'];
  const stack = await LiveStack.start({}, withoutPtrace);
  try {
    const [hog, fine] = await Promise.all([
      stack.shell('x=$(head -c 600M /dev/zero | tr "\\0" x); sleep 30; echo survived', {
        mem_gb: 0.1,
      }),
      stack.shell('sleep 3; echo fine', { mem_gb: 0.1 }),
    ]);
    expect(hog).toMatchObject({ status: 'FAILED', failure: 'out_of_memory' });
    expect(hog.message).toMatch(/\b102 MiB/);
    // Our own watch wrote this; Slurm's watch does not work here.
    await until('the stack says so', () =>
      /StepId=\d+\.batch exceeded memory limit/.test(stack.stdout),
    );
    expect(fine).toMatchObject({ status: 'COMPLETED', log: 'fine\n' });
  } finally {
    await stack.remove();
  }
});
