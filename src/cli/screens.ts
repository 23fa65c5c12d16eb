import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ClientConfig } from '../config/client.js';
import { screensReplySchema } from '../jobs/replies.js';
import { attachCommand } from '../jobs/screens.js';
import { layoutOf } from '../config/layout.js';
import type { Api } from './api.js';
import { CliError } from './cli-error.js';
import { plain, say, table } from './terminal.js';

export async function listScreens(api: Api, { json }: { json?: boolean }): Promise<void> {
  const reply = await api.get('/screens', screensReplySchema);
  if (json) {
    say(JSON.stringify(reply, null, 2));
    return;
  }
  const rows = reply.screens.map(({ job_id, state, gpus, name }) => [
    String(job_id),
    state,
    gpus.join(',') || '-',
    name ?? 'starts with the job',
  ]);
  say(rows.length === 0 ? 'no screens' : table([['JOB', 'STATE', 'GPUS', 'SESSION'], ...rows]));
}

/**
 * Connects this terminal to a job's session until Ctrl-A d.
 * @returns the exit code
 */
export async function attach(api: Api, config: ClientConfig, id: number): Promise<number> {
  if (!config.isLocal)
    throw new CliError(
      `the session is on the machine of ${config.url}; run there: sudo jobrunner attach ${id} (ssh -t HOST …, or docker exec -it CONTAINER jobrunner attach ${id})`,
    );
  if (process.getuid?.() !== 0)
    throw new CliError(`sessions belong to the jobs’ users: run sudo jobrunner attach ${id}`);
  if (!process.stdin.isTTY)
    throw new CliError('attach needs a terminal: use ssh -t or docker exec -it');
  const { screens } = await api.get('/screens', screensReplySchema);
  const screen = screens.find((each) => each.job_id === id);
  if (screen === undefined)
    throw new CliError(
      `job ${id} has no screen session now; ${screens.length === 0 ? 'no job has one' : `jobs with one: ${screens.map((s) => s.job_id).join(', ')}`}`,
    );
  if (screen.name === null)
    throw new CliError(`job ${id} is ${plain(screen.state)}: its session starts with it`);
  const term = /^[\w.+-]{1,64}$/.exec(config.term ?? '')?.[0] ?? 'xterm';
  const session = { name: screen.name, unix_user: screen.unix_user };
  const [file = '', ...args] = attachCommand(layoutOf(config.root).screens, session, term);
  const child = spawn(file, args, { stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}
