import { connect } from 'node:net';
import { execa } from 'execa';
import { errnoOf } from '../../errors.js';
import { slurmdRuns } from '../../cluster/nodes/slurmd-runs.js';
import type { Layout } from '../../config/layout.js';
import { readIdentity } from './identity.js';

/** Less than the image's health check may take. */
const maxMs = 8000;

/**
 * Checks whether this worker can take jobs: its agent and slurmd run, and the controller is
 * reachable and has heard of it lately.
 * @returns the problems, one line each
 */
export async function problemsOfWorker(layout: Layout): Promise<string[]> {
  const name = nameOf(layout);
  if (name === undefined) return ['this worker has not joined yet'];
  const [agent, state] = await Promise.all([agentAnswers(layout), stateOf(layout, name)]);
  return [
    ...(agent ? [] : ['the agent (worker-agent) does not run']),
    ...(slurmdRuns(layout, name) ? [] : ['slurmd does not run']),
    ...(state === undefined ? ['the controller’s slurmctld does not answer'] : []),
    ...(state !== undefined && !/^(idle|mixed|allocated|completing|draining|drained)$/.test(state)
      ? [`the controller reports ${name}: ${state || 'no such node'}`]
      : []),
  ];
}

function nameOf({ workerIdentity }: Layout): string | undefined {
  try {
    return readIdentity(workerIdentity).name || undefined;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Returns whether this worker's agent listens. */
export function agentAnswers({ workerSocket }: Layout): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(workerSocket);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/**
 * Returns the node's state on the controller, with a `*` when the node does not answer; undefined
 * when the controller does not.
 */
async function stateOf(layout: Layout, name: string): Promise<string | undefined> {
  const { failed, stdout } = await execa(
    'sinfo',
    ['--noheader', `--nodes=${name}`, '--format=%T'],
    {
      reject: false,
      timeout: maxMs,
      env: { PATH: '/usr/bin:/bin', SLURM_CONF: layout.slurmConf },
      extendEnv: false,
    },
  );
  return failed ? undefined : (stdout.split('\n')[0]?.trim() ?? '');
}
