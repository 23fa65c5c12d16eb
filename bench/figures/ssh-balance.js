import { seeded } from '../seeded.js';

const target = 1.2;
const shortestSeconds = 0.5;
const longestSeconds = 5;

export const howBalance = `Balance: jobs of one GPU that sleep ${shortestSeconds} to ${longestSeconds} s, drawn with a fixed seed, all submitted at once; the time that each host’s jobs took by the jobs’ own records, added up: that of the busiest host against that of the least busy one.`;

const command = 'b=$EPOCHREALTIME; sleep "$1"; echo "ran $b $EPOCHREALTIME"';

/**
 * Whether jobs spread over the hosts.
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
  /** @type {Map<string, number>} */
  const busy = new Map();
  for (const id of ids) {
    const { node, seconds } = await recordOf(stack, id);
    busy.set(node, (busy.get(node) ?? 0) + seconds);
  }
  for (const [node, seconds] of [...busy].sort())
    workspace.say(`  ${node}: busy for ${seconds.toFixed(1)} s`);
  const { nodes } = await stack.client.expect(200, 'GET', '/nodes');
  const all = nodes
    .filter((/** @type {{ ssh: object | null }} */ node) => node.ssh !== null)
    .map((/** @type {{ name: string }} */ node) => busy.get(node.name) ?? 0);
  return [
    {
      what: `${count} jobs of mixed length on ${all.length} SSH hosts, busiest and least busy host`,
      unit: 's',
      ours: [Math.max(...all)],
      rival: { name: 'least busy', values: [Math.min(...all)] },
      target,
    },
  ];
}

/**
 * @param {import('../stack.js').Stack} stack
 * @param {number} id
 */
async function recordOf(stack, id) {
  for (;;) {
    const { status, message, node } = await stack.client.expect(200, 'GET', `/jobs/${id}?wait=60`);
    if (status === 'COMPLETED') {
      const { text } = await stack.client.call('GET', `/jobs/${id}/log`);
      const [, begin, end] = /^ran (\S+) (\S+)$/m.exec(text) ?? [];
      const seconds = Number(end) - Number(begin);
      if (!(seconds > 0)) throw new Error(`job ${id} wrote: ${text}`);
      return { node, seconds };
    }
    if (!['PENDING', 'RUNNING', 'COMPLETING'].includes(status))
      throw new Error(`job ${id} is ${status}: ${message}`);
  }
}
