import { readFileSync } from 'node:fs';
import { connect, type NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { localUrl, type Config } from '../../config/config.js';
import { NODE_NAME, type Layout } from '../../config/layout.js';
import { JOIN_PORT } from './programs.js';

/** Returns whether the part does its work, beyond being there. */
type Probe = () => Promise<boolean>;

export function probesOf(layout: Layout, config: Config, node = NODE_NAME): Record<string, Probe> {
  const answers = async (command: string, args: string[], pattern = /^/): Promise<boolean> => {
    const { failed, stdout } = await execa(command, args, {
      reject: false,
      timeout: 20_000,
      env: { PATH: '/usr/sbin:/usr/bin:/bin', SLURM_CONF: layout.slurmConf },
      extendEnv: false,
    });
    return !failed && pattern.test(stdout);
  };
  return {
    munged: () => answers('munge', ['--no-input', `--socket=${layout.mungeSocket}`]),
    mariadb: () => accepts({ path: layout.mysqlSocket }),
    // slurmctld dies at its first boot when slurmdbd does not answer, so a running process is not
    // enough.
    slurmdbd: () => answers('sacctmgr', ['--noheader', 'list', 'cluster']),
    slurmctld: () => answers('scontrol', ['ping'], / is UP/),
    slurmd: () =>
      answers(
        'sinfo',
        ['--noheader', `--nodes=${node}`, '--format=%T'],
        /^(idle|mixed|allocated|completing|draining|drained)$/m,
      ),
    // As long as nothing listens there; a start of the stack has checked that the port is free.
    [JOIN_PORT]: () => accepts({ host: '127.0.0.1', port: config.join?.port ?? 0 }),
    api: () => {
      const url = `${localUrl(config)}/health`;
      // A refused connection means "not yet" here. When that lasts, waitFor shows the log.
      return fetch(url).then(
        (reply) => reply.status === 200,
        () => false,
      );
    },
  };
}

/**
 * Waits until the part answers.
 * @throws Error with the end of the part's log after `timeoutMs`
 */
export async function waitFor(
  name: string,
  probe: Probe,
  layout: Layout,
  signal: AbortSignal,
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await probe())) {
    signal.throwIfAborted();
    if (Date.now() > deadline)
      throw new Error(
        `${name} does not answer after ${timeoutMs / 1000} s; the end of its log:\n${tailOfLog(name, layout)}`,
      );
    await delay(25);
  }
}

function tailOfLog(name: string, layout: Layout): string {
  const text = readFileSync(join(layout.logs, `${name}.log`), 'utf8');
  return text.split('\n').slice(-12).join('\n');
}

/** Returns whether a process listens there. */
export function accepts(at: NetConnectOpts): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(at);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
