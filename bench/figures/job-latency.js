import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { interleave } from '../interleave.js';
import { submitterOf } from '../submitter.js';

const script = '#!/bin/bash\ntrue\n';
const sbatchFlags = ['--mem=200M', '--cpus-per-task=1', '--output=/dev/null', '--chdir=/tmp'];

/** @type {import('../main.js').Figure} */
export const jobLatency = {
  name: 'job',
  how:
    '**job**: `POST /jobs` (`shell`, command `true`) and `GET /jobs/{id}?wait=60` until the ' +
    'job is `COMPLETED`. The rival is `sbatch --wait` of a script with `true`, by the user ' +
    '`runner` on the same Slurm, without a shell or `runuser` in between. `sbatch --wait` ' +
    'checks only every few seconds, so there are two faster rivals. One is `sbatch` and then ' +
    '`squeue` in a tight loop until the job has ended. The other is `srun true`, which stores ' +
    'no script. Each run starts at a random moment, since Slurm’s scheduler wakes once a ' +
    'second.',
  async measure(workspace) {
    const stack = await workspace.stack();
    const { uid, gid } = await submitterOf(workspace);
    const path = join(workspace.root, 'true.sh');
    await writeFile(path, script);
    await chmod(path, 0o755);
    const asRunner = { uid, gid, cwd: '/tmp', env: { SLURM_CONF: stack.slurmConf } };

    /** @param {() => Promise<unknown>} work */
    const timed = async (work) => {
      // Slurm's scheduler wakes once a second; without a random pause, all runs would meet it at
      // the same point.
      await delay(Math.random() * 1000, undefined, { signal: workspace.signal });
      const started = performance.now();
      await work();
      return (performance.now() - started) / 1000;
    };
    const measured = await interleave(workspace, workspace.runs(15), {
      ours: () => timed(() => stack.runJob('true')),
      sbatchWait: () =>
        timed(() => workspace.run('sbatch', ['--wait', ...sbatchFlags, path], asRunner)),
      sbatchSqueue: () =>
        timed(async () => {
          const { stdout: id } = await workspace.run(
            'sbatch',
            ['--parsable', ...sbatchFlags, path],
            asRunner,
          );
          const ask = ['--noheader', '--states=all', `--jobs=${String(id)}`, '--format=%T'];
          for (;;) {
            const { stdout: state } = await workspace.run('squeue', ask, asRunner);
            if (state === 'COMPLETED') return;
            if (!['PENDING', 'RUNNING', 'COMPLETING'].includes(String(state)))
              throw new Error(`job ${String(id)} is ${String(state)}`);
          }
        }),
      srun: () =>
        timed(() => workspace.run('srun', ['--mem=200M', '--chdir=/tmp', 'true'], asRunner)),
    });
    const what = 'job `true`, submitted until seen `COMPLETED`';
    const rival = (/** @type {string} */ name, /** @type {number[]} */ values) => ({
      ...{ what, unit: 's', ours: measured.ours },
      rival: { name, values },
    });
    return [
      { ...rival('`sbatch --wait`', measured.sbatchWait), target: 1.3 },
      rival('`sbatch`, then `squeue` in a loop', measured.sbatchSqueue),
      rival('`srun true`', measured.srun),
    ];
  },
};
