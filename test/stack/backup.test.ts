import { execFileSync } from 'node:child_process';
import { renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../until.js';
import { LiveStack } from './live-stack.js';

/*
 * A copy of JR_ROOT that was made while everything ran (`cp -a`), with jobs in every state, is
 * started in the place of the original and in another one.
 */

interface Backup {
  folder: string;
  ids: { ended: number; running: number; held: number };
}

const command = (text: string, more = {}) => ({
  command_key: 'shell',
  command: text,
  mem_gb: 0.2,
  ...more,
});

async function backup(stack: LiveStack): Promise<Backup> {
  const ended = await stack.shell('echo kept >result.pth; echo done');
  const running = await stack.submit(command('echo up; sleep 600'));
  await stack.says(running.json.job_id, 'up');
  const held = await stack.submit(command('echo it ran; echo late >late.pth', { cpus: 16 }));
  await stack.call('POST', `/jobs/${held.json.job_id}/hold`);
  const heldAt = Date.now();
  await until('Slurm has saved its state', () => {
    const saved = statSync(join(stack.root, 'slurm/state/job_state'), { throwIfNoEntry: false });
    return saved !== undefined && saved.mtimeMs > heldAt;
  });
  const folder = `${stack.root}.copy`;
  // Files may vanish while they are copied; sockets are no files.
  execFileSync('bash', ['-c', 'cp -a "$1" "$2" || [ -d "$2/slurm" ]', 'cp', stack.root, folder], {
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  // Jobs that only the original knows.
  for (let i = 0; i < 2; i++) await stack.shell('true');
  await stack.down();
  const ids = { ended: ended.job_id, running: running.json.job_id, held: held.json.job_id };
  return { folder, ids };
}

/** Checks the jobs that had ended or ran, and a new one. */
async function checkRestored(stack: LiveStack, { ids }: Backup): Promise<void> {
  const { json: ended } = await stack.call('GET', `/jobs/${ids.ended}`);
  expect(ended).toMatchObject({ status: 'COMPLETED', exit_code: 0 });
  expect(await fileOf(stack, ids.ended, 'result.pth')).toBe('kept\n');
  expect(await stack.finish(ids.running)).toMatchObject({ status: 'NODE_FAIL', failure: 'node' });
  const next = await stack.shell('echo a new one');
  expect(next).toMatchObject({ status: 'COMPLETED', log: 'a new one\n' });
}

async function fileOf(stack: LiveStack, id: number, path: string): Promise<string> {
  return (await stack.call('GET', `/outputs/download_by_job?job_id=${id}&rel_path=${path}`)).text;
}

test('a copy that was made while jobs ran goes on in the place of the original', async () => {
  const stack = await LiveStack.start();
  const folder = `${stack.root}.copy`;
  try {
    const made = await backup(stack);
    rmSync(stack.root, { recursive: true });
    renameSync(folder, stack.root);
    await stack.up();
    await checkRestored(stack, made);
    const { held } = made.ids;
    await stack.call('POST', `/jobs/${held}/release`);
    expect(await stack.finish(held)).toMatchObject({ status: 'COMPLETED', log: 'it ran\n' });
    expect(await fileOf(stack, held, 'late.pth')).toBe('late\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await stack.remove();
  }
});

test('a copy goes on in another place, without the original', async () => {
  const original = await LiveStack.start();
  let made: Backup;
  try {
    made = await backup(original);
  } finally {
    await original.remove();
  }
  const stack = await LiveStack.start({ JR_ROOT: made.folder });
  try {
    await checkRestored(stack, made);
    const { json: held } = await stack.call('GET', `/jobs/${made.ids.held}`);
    expect(held).toMatchObject({ status: 'NODE_FAIL', failure: 'node' });
    expect(held.message).toContain(original.root);
    const { json: again } = await stack.call('POST', `/jobs/${made.ids.held}/rerun`);
    expect(await stack.finish(again.job_id)).toMatchObject({ log: 'it ran\n' });
  } finally {
    await stack.remove();
  }
});
