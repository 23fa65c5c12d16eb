import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { interleave } from '../interleave.js';
import { submitterOf } from '../submitter.js';

/** @type {import('../main.js').Figure} */
export const submission = {
  name: 'submission',
  how:
    '**submission**: jobs that `POST /jobs` accepts in a second, from one client and from ' +
    'four at once. The rival is `sbatch` in one bash loop and in four. The partition is down ' +
    'meanwhile, so no job starts and only submission is measured. All jobs are cancelled ' +
    'between runs. More is better.',
  async measure(workspace) {
    const stack = await workspace.stack();
    const { uid, gid } = await submitterOf(workspace);
    const jobs = workspace.quick ? 20 : 80;
    const path = join(workspace.root, 'submitted.sh');
    await writeFile(path, '#!/bin/bash\ntrue\n');
    await chmod(path, 0o755);
    const slurm = { env: { SLURM_CONF: stack.slurmConf }, cwd: '/tmp' };
    const setPartition = (/** @type {string} */ state) =>
      workspace.run('scontrol', ['update', 'PartitionName=main', `State=${state}`], slurm);

    const cancelAll = async () => {
      await workspace.run('scancel', ['--user=runner'], slurm);
      // The API learns of the job's end by asking Slurm; until then, its next poll would cover all
      // of them.
      for (;;) {
        const { jobs: left } = await stack.client.expect(200, 'GET', '/jobs?state=PENDING&limit=1');
        if (left.length === 0) return;
        await delay(100, undefined, { signal: workspace.signal });
      }
    };
    /** @param {() => Promise<unknown>} submitAll */
    const rate = async (submitAll) => {
      const started = performance.now();
      await submitAll();
      const seconds = (performance.now() - started) / 1000;
      await cancelAll();
      return jobs / seconds;
    };
    /** @param {number} clients */
    const ours = (clients) =>
      rate(() => {
        let left = jobs;
        const client = async () => {
          while (left > 0) {
            left -= 1;
            const fields = { command_key: 'shell', command: 'true', mem_gb: 0.2 };
            await stack.client.expect(201, 'POST', '/jobs', fields);
          }
        };
        return Promise.all(Array.from({ length: clients }, client));
      });
    /** @param {number} loops */
    const theirs = (loops) =>
      rate(() => {
        const loop =
          'for ((i = 0; i < $1; i++)); do sbatch --mem=200M --cpus-per-task=1 --output=/dev/null "$0" >/dev/null || exit 1; done';
        return Promise.all(
          Array.from({ length: loops }, () =>
            workspace.run('bash', ['-c', loop, path, String(jobs / loops)], { ...slurm, uid, gid }),
          ),
        );
      });

    const measureAll = async () => {
      await setPartition('DOWN');
      try {
        return await interleave(workspace, workspace.runs(3), {
          one: () => ours(1),
          loop: () => theirs(1),
          four: () => ours(4),
          fourLoops: () => theirs(4),
        });
      } finally {
        await setPartition('UP');
      }
    };
    const measured = await measureAll();
    return [
      {
        what: `jobs submitted a second, one at a time (${jobs})`,
        unit: '/s',
        ours: measured.one,
        rival: { name: '`sbatch` loop', values: measured.loop },
      },
      {
        what: `jobs submitted a second, four at a time (${jobs})`,
        unit: '/s',
        ours: measured.four,
        rival: { name: 'four `sbatch` loops', values: measured.fourLoops },
      },
    ];
  },
};
