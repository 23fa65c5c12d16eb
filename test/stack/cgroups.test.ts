import { expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { LiveStack } from './live-stack.js';

/** Whether root can make control groups on this machine; a container without privileges cannot. */
function canMakeGroups(): boolean {
  const folder = readdirSync('/sys/fs/cgroup').includes('cgroup.controllers')
    ? '/sys/fs/cgroup/jr-test-probe'
    : '/sys/fs/cgroup/memory/jr-test-probe';
  try {
    execFileSync('mkdir', [folder], { stdio: 'ignore' });
    execFileSync('rmdir', [folder], { stdio: 'ignore' });
    return true;
  } catch (error) {
    if ((error as { status?: number }).status === undefined) throw error;
    return false;
  }
}

test('with JR_USE_CGROUPS=1 the kernel enforces memory limits; without cgroups the setting is refused', async () => {
  if (!canMakeGroups()) {
    await expect(LiveStack.start({ JR_USE_CGROUPS: '1' })).rejects.toThrow(/JR_USE_CGROUPS: /);
    return;
  }
  const stack = await LiveStack.start({ JR_USE_CGROUPS: '1' });
  try {
    const hog = 'x=$(head -c 600M /dev/zero | tr "\\0" x); echo survived';
    const [killed, fine] = await Promise.all([
      stack.shell(hog, { mem_gb: 0.1, gpus: 1 }),
      stack.shell('echo "[$CUDA_VISIBLE_DEVICES]"; echo >/dev/null', { gpus: 1 }),
    ]);
    expect(killed).toMatchObject({ status: 'OUT_OF_MEMORY', failure: 'out_of_memory', signal: 9 });
    expect(killed.log).not.toContain('survived\n');
    expect(fine.status).toBe('COMPLETED');
    expect(fine.log).toMatch(/^\[\d\]\n$/);
  } finally {
    await stack.remove();
  }
});
