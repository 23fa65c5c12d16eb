import { once } from 'node:events';
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { summarize } from '../statistics.js';

const target = 0.5;
const jobs = 3;
const lines = 30;

export const howLog =
  `Log: ${jobs} jobs at once print their clock, each ${lines} times with 50 to 450 ms in ` +
  'between. The lines are read from `GET /jobs/{id}/log/stream`. Both ends use the same ' +
  'clock. The target applies to the slowest line of all.';

/** `$RANDOM` is 0–32767; the seed makes the pauses the same in every run. */
const command = `RANDOM=1; for ((i = 0; i < ${lines}; i++)); do printf -v pause '0.%03d' $((50 + RANDOM % 400)); sleep $pause; echo "at $EPOCHREALTIME"; done`;

/**
 * Measures the delay between writing a line on the host and reading it here.
 * @param {import('../workspace.js').Workspace} workspace
 * @param {import('../stack.js').Stack} stack
 */
export async function logLines(workspace, stack) {
  workspace.say('  log lines');
  const oneJob = async () => {
    const fields = { command_key: 'shell', command, mem_gb: 0.2, partition: 'ssh' };
    const { job_id: id } = await stack.client.expect(201, 'POST', '/jobs', fields);
    const seen = await readLog(workspace, stack, id);
    if (seen.length !== lines) throw new Error(`job ${id}: ${seen.length} of ${lines} lines came`);
    return seen;
  };
  const delays = (await Promise.all(Array.from({ length: jobs }, oneJob))).flat();
  return [
    {
      what: `log line of a job on an SSH host, written there until read here, slowest of ${delays.length}`,
      ...{ unit: 's', ours: [summarize(delays).max], target },
    },
    {
      what: 'log line of a job on an SSH host, written there until read here',
      ...{ unit: 's', ours: delays },
    },
  ];
}

/**
 * Follows a job's log to its end.
 * @param {import('../workspace.js').Workspace} workspace
 * @param {import('../stack.js').Stack} stack
 * @param {number} id
 * @returns {Promise<number[]>} for each line, the seconds between its writing and its arrival
 */
async function readLog(workspace, stack, id) {
  const outgoing = request(`${stack.url}/jobs/${id}/log/stream`, {
    signal: workspace.signal,
    headers: { Authorization: `Bearer ${stack.token}` },
  }).end();
  const [reply] = /** @type {[import('node:http').IncomingMessage]} */ (
    await once(outgoing, 'response')
  );
  if (reply.statusCode !== 200) throw new Error(`the stream of job ${id}: ${reply.statusCode}`);
  const delays = [];
  for await (const line of createInterface(reply)) {
    const [, written] = /^data: at (\d+\.\d+)$/.exec(line) ?? [];
    if (written !== undefined) delays.push(Date.now() / 1000 - Number(written));
  }
  return delays;
}
