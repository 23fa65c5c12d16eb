import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { interleave } from '../interleave.js';

const overheadTarget = 1.5;

export const howJob =
  'Job: `POST /jobs` (`shell`, command `true`, partition ssh) and `GET /jobs/{id}?wait=60` ' +
  'until the job is `COMPLETED`. The rival is `ssh host true` with its own connection. The ' +
  'target applies to the difference. Each run starts at a random moment, since Slurm’s ' +
  'scheduler wakes once a second.';

/**
 * Compares a trivial job, from submission until its end is seen, with ssh alone.
 * @param {import('../workspace.js').Workspace} workspace
 * @param {import('../stack.js').Stack} stack
 * @param {import('../ssh-hosts.js').SshHosts} servers
 */
export async function trivialJob(workspace, stack, servers) {
  /** @param {() => Promise<unknown>} work */
  const timed = async (work) => {
    await delay(Math.random() * 1000, undefined, { signal: workspace.signal });
    const started = performance.now();
    await work();
    return (performance.now() - started) / 1000;
  };
  const { ours, theirs } = await interleave(workspace, workspace.runs(9), {
    ours: () => timed(() => stack.runJob('true', { partition: 'ssh' })),
    theirs: () =>
      timed(() => workspace.run('ssh', ['-F', servers.sshConfig, servers.nameOf(0), 'true'])),
  });
  const what = 'job `true` in partition ssh, submitted until seen `COMPLETED`';
  return [
    {
      what: `${what}: how much longer than \`ssh host true\``,
      unit: 's',
      ours: ours.map((seconds, i) => seconds - (theirs[i] ?? NaN)),
      target: overheadTarget,
    },
    { what, unit: 's', ours, rival: { name: '`ssh host true`', values: theirs } },
  ];
}
