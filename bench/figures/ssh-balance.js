import { seeded } from '../seeded.js';

const target = 1.2;
const shortestSeconds = 0.5;
const longestSeconds = 5;

export const howBalance =
  `Balance: jobs of one GPU sleep ${shortestSeconds} to ${longestSeconds} s, drawn with a ` +
  'fixed seed and all submitted at once. The occupied time of each host is the sum over its ' +
  'jobs, by `started_at` and `ended_at` (whole seconds). The busiest host is compared with ' +
  'the least busy one. The second row counts only the jobs’ commands, by their own clock.';

const command = 'b=$EPOCHREALTIME; sleep "$1"; echo "ran $b $EPOCHREALTIME"';

/**
 * Measures whether jobs spread over the hosts.
 * @param {import('../workspace.js').Workspace} workspace
 * @param {import('../stack.js').Stack} stack
 */
export async function balance(workspace, stack) {
  const count = workspace.quick ? 40 : 200;
  workspace.say(`  ${count} jobs`);
  const random = seeded(1);
  const ids = [];
  for (let i = 0; i < count; i++) {
    const seconds = shortestSeconds + random() * (longestSeconds - shortestSeconds);
    const job = await stack.client.expect(201, 'POST', '/jobs', {
      ...{ command_key: 'shell', command, args: [seconds.toFixed(3)] },
      ...{ partition: 'ssh', gpus: 1, cpus: 1, mem_gb: 0.2 },
    });
    ids.push(job.job_id);
  }
  const { nodes } = await stack.client.expect(200, 'GET', '/nodes');
  /** @type {Map<string, { taken: number, commands: number }>} */
  const hosts = new Map();
  for (const { name, ssh } of nodes) if (ssh !== null) hosts.set(name, { taken: 0, commands: 0 });
  for (const id of ids) {
    const { node, taken, command } = await recordOf(stack, id);
    const host = hosts.get(node);
    if (host === undefined) throw new Error(`job ${id} ran on ${node}, which is no SSH host`);
    host.taken += taken;
    host.commands += command;
  }
  for (const [name, { taken, commands }] of hosts)
    workspace.say(`  ${name}: taken for ${taken} s, by commands for ${commands.toFixed(1)} s`);
  const what = `${count} jobs of mixed length on ${hosts.size} SSH hosts, busiest and least busy host`;
  const row = (/** @type {string} */ name, /** @type {number[]} */ values) => ({
    what: name,
    ...{ unit: 's', ours: [Math.max(...values)] },
    rival: { name: 'least busy', values: [Math.min(...values)] },
  });
  const all = [...hosts.values()];
  return [
    {
      ...row(
        what,
        all.map(({ taken }) => taken),
      ),
      target,
    },
    row(
      `${what}, commands alone`,
      all.map(({ commands }) => commands),
    ),
  ];
}

/**
 * @param {import('../stack.js').Stack} stack
 * @param {number} id
 */
async function recordOf(stack, id) {
  for (;;) {
    const job = await stack.client.expect(200, 'GET', `/jobs/${id}?wait=60`);
    if (job.status === 'COMPLETED') {
      const { text } = await stack.client.call('GET', `/jobs/${id}/log`);
      const [, begin, end] = /^ran (\S+) (\S+)$/m.exec(text) ?? [];
      const ran = Number(end) - Number(begin);
      if (!(ran > 0)) throw new Error(`job ${id} wrote: ${text}`);
      const taken = (Date.parse(job.ended_at) - Date.parse(job.started_at)) / 1000;
      return { node: job.node, taken, command: ran };
    }
    if (!['PENDING', 'RUNNING', 'COMPLETING'].includes(job.status))
      throw new Error(`job ${id} is ${job.status}: ${job.message}`);
  }
}
