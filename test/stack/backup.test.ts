import { execFileSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { LiveStack, type JobReply } from './live-stack.js';

/*
 * A copy of JR_ROOT that was made while everything ran (`cp -a`), with jobs in every state, is
 * started in the place of the original and in another one.
 */

interface Backup {
  stack: LiveStack;
  folder: string;
  ids: { ended: number; running: number; held: number };
  /** Slurm's number of a job that only the original knew, since it came after the copy. */
  later: number;
}

const command = (text: string, more = {}) => ({
  command_key: 'shell',
  command: text,
  mem_gb: 0.2,
  ...more,
});

async function backup(): Promise<Backup> {
  const stack = await LiveStack.start();
  const ended = await stack.shell('echo kept >result.pth; echo done');
  const running = await stack.submit(command('echo up; sleep 600'));
  await stack.says(running.json.job_id, 'up');
  const held = await stack.submit(command('echo it ran; echo late >late.pth', { cpus: 16 }));
  await stack.call('POST', `/jobs/${held.json.job_id}/hold`);
  const folder = `${stack.root}.copy`;
  // Files may vanish while they are copied; sockets are no files.
  execFileSync('bash', ['-c', 'cp -a "$1" "$2" || [ -d "$2/slurm" ]', 'cp', stack.root, folder], {
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  const later = await stack.shell('true');
  await stack.down();
  const ids = { ended: ended.job_id, running: running.json.job_id, held: held.json.job_id };
  return { stack, folder, ids, later: (await slurmJobOf(later)) ?? 0 };
}

const slurmJobOf = (job: JobReply) => Promise.resolve(job.slurm_job_id);

async function checkRestored(stack: LiveStack, { ids, later }: Backup): Promise<void> {
  const job = async (id: number) => (await stack.call('GET', `/jobs/${id}`)).json;
  expect(await job(ids.ended)).toMatchObject({ status: 'COMPLETED', exit_code: 0 });
  const output = await stack.call(
    'GET',
    `/outputs/download_by_job?job_id=${ids.ended}&rel_path=result.pth`,
  );
  expect(output.text).toBe('kept\n');

  expect(await stack.finish(ids.running)).toMatchObject({ status: 'NODE_FAIL', failure: 'node' });

  const next = await stack.shell('echo a new one');
  expect(next).toMatchObject({ status: 'COMPLETED', log: 'a new one\n' });
  expect([ids.ended, ids.running, ids.held]).not.toContain(next.job_id);

  expect((await job(ids.held)).status).toBe('PENDING');
  const released = await stack.call('POST', `/jobs/${ids.held}/release`);
  expect(released.status).toBe(200);
  expect(await stack.finish(ids.held)).toMatchObject({ status: 'COMPLETED', log: 'it ran\n' });
  const late = await stack.call(
    'GET',
    `/outputs/download_by_job?job_id=${ids.held}&rel_path=late.pth`,
  );
  expect(late.text).toBe('late\n');
  void later;
}

test('a copy that was made while jobs ran goes on in the place of the original', async () => {
  const made = await backup();
  const { stack, folder } = made;
  try {
    rmSync(stack.root, { recursive: true });
    renameSync(folder, stack.root);
    await stack.up();
    await checkRestored(stack, made);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await stack.remove();
  }
});

test('a copy goes on in another place, without the original', async () => {
  const made = await backup();
  await made.stack.remove();
  const stack = await LiveStack.start({ JR_ROOT: made.folder });
  try {
    await checkRestored(stack, made);
  } finally {
    await stack.remove();
  }
});
