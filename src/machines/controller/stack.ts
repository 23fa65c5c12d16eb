import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { readConfig, type Config } from '../../config/config.js';
import { publicSettings } from '../../config/secrets.js';
import { layoutOf, NODE_NAME, type Layout } from '../../config/layout.js';
import { judgeCpus } from '../../config/many-cpus.js';
import { shownUrl } from '../../config/shown-url.js';
import { judgeToken } from '../../config/weak-token.js';
import { makeSlurmAccounts, makeDatabase } from './accounting.js';
import type { UnixUsers } from '../daemons/unix-users.js';
import { watchAccounting } from './accounting-watch.js';
import { WorkerGpus } from './worker-gpus.js';
import { WorkerRegister } from './worker-register.js';
import { watchController } from './controller-watch.js';
import type { Hardware } from '../daemons/detect.js';
import { keepSecrets } from '../daemons/folders.js';
import { runningJobsOn } from '../daemons/job-processes.js';
import { inWords, prepareMachine } from '../daemons/machine.js';
import type { Installation } from '../daemons/install-app.js';
import { openJoinFiles, writeJoinToken } from './join-files.js';
import { endLostJobs } from './lost-jobs.js';
import {
  closePartitions,
  openForPlaceholders,
  openPartitions,
  waitForNodes,
} from '../daemons/partitions.js';
import { preflight } from '../daemons/preflight.js';
import {
  JOIN_PORT,
  plainEnvironment,
  programsOf,
  SSH_WATCH,
  type Program,
} from '../daemons/programs.js';
import { probesOf, waitFor } from '../daemons/readiness.js';
import { MAX_JOB_ID, parseSlurmRelease, sshEnvironment } from '../daemons/slurm-config.js';
import { RegisterServer } from './register-server.js';
import { packageRoot } from '../../config/package-root.js';
import { TemplateLibrary } from '../../jobs/templates/library.js';
import { hostsOrConfigError } from './ssh-hosts-file.js';
import { SshNodes } from './ssh-live.js';
import { slurmdProgram } from '../daemons/ssh-nodes.js';
import { stopInOrder } from './stop.js';
import { abortAtSignals, runDaemons } from '../daemons/run-daemons.js';
import type { Supervisor } from '../daemons/supervisor.js';

/**
 * Starts Slurm and the API in order, stays until SIGINT or SIGTERM, and stops all it started.
 * @throws ConfigError before anything is started; Error when a part does not come up (all is
 *   stopped first)
 */
export async function runStack(say: (line: string) => void): Promise<void> {
  const config = readConfig();
  const layout = layoutOf(config.root);
  await preflight(config, layout);
  const tokenWarning = judgeToken(config);
  const sshHosts = hostsOrConfigError(config.ssh);
  const files = { jobsFile: config.jobsFile.path, stateFile: config.gpus.stateFile };
  const machine = await prepareMachine(config, layout, files, say);
  const { hardware, app } = machine;
  const { token, isNew } = keepSecrets(config, layout, machine.unixUsers);
  const slurm = {
    ...machine,
    release: parseSlurmRelease(machine.slurm),
    firstJobId: (await lastSlurmJob(layout, machine.unixUsers, app)) + 1,
  };
  const programs = (sshNodes: string[]) =>
    programsOf(layout, {
      api: apiProgram(layout, hardware, app),
      sshNodes,
      sshWatch: sshWatchProgram(layout, config, app),
      joinPort: config.join && joinPortProgram(layout, config, config.join, app),
    });
  const ssh = await SshNodes.open(sshHosts, { slurm, programs, say });

  const joinFiles = config.join && (await openJoinFiles(layout, machine.unixUsers['jr-join']));
  if (config.join?.tokenFile !== undefined && joinFiles)
    writeJoinToken(config.join.tokenFile, joinFiles);

  const stopping = abortAtSignals();
  const { signal } = stopping;
  await makeDatabase(layout, signal);
  if (signal.aborted) {
    say('Stopped.');
    return;
  }

  let registerServer: RegisterServer | undefined;
  await runDaemons(
    machine,
    {
      node: NODE_NAME,
      daemons: () => daemonPorts(config, ssh.ports),
      start: async (supervisor, watching) => {
        await startInOrder(supervisor, config, layout, ssh, signal, say);
        if (config.join && joinFiles) {
          const { timeoutSeconds } = config.join;
          const register = new WorkerRegister({ ...machine, timeoutSeconds });
          const { registerSocket } = layout;
          const owner = machine.unixUsers['jr-join'];
          registerServer = await RegisterServer.open(
            registerSocket,
            owner,
            joinFiles,
            register,
            say,
          );
          await supervisor.startProgram(JOIN_PORT);
          await waitUntilReady(JOIN_PORT, config, layout, signal);
        }
        const workerGpus = config.join && new WorkerGpus(layout, say);
        const local = () => [NODE_NAME, ...ssh.names];
        watching.push(watchController(layout, local, workerGpus, say, signal));
        const { slurmdbd } = config.ports;
        watching.push(watchAccounting(layout, slurmdbd, supervisor, say, signal));
        watching.push(ssh.watch(supervisor, signal));
        const templates = new TemplateLibrary(join(packageRoot, 'templates'), config.templates);
        for (const notice of await templates.notices()) say(notice);
        say(banner(config, hardware, isNew ? token : undefined, layout));
        for (const warning of [tokenWarning, judgeCpus(hardware.cpus)])
          if (warning !== undefined) say(`\nWARNING: ${warning}\n`);
      },
      parting: async () => parting(await runningJobsOn(layout, [NODE_NAME, ...ssh.names])),
      stop: async (supervisor) => {
        try {
          await registerServer?.close();
        } finally {
          await stopInOrder(supervisor, layout, ssh.names);
        }
      },
    },
    stopping,
    say,
  );
}

/**
 * Finds the greatest number that Slurm has given a job. Asks as the API's user: root would leave
 * files of its own beside the database, and reads nothing else that the API writes.
 */
async function lastSlurmJob(
  layout: Layout,
  { jobrunner }: UnixUsers,
  app: Installation,
): Promise<number> {
  if (!existsSync(layout.database)) return 0;
  const main = join(app.root, 'dist/main.js');
  const { stdout } = await execa(app.node, [main, 'last-slurm-job'], {
    uid: jobrunner.uid,
    gid: jobrunner.gid,
    cwd: '/',
    env: { ...plainEnvironment, JR_ROOT: layout.root },
    extendEnv: false,
  });
  // The API may have been taken over: believe nothing but a number that Slurm can take.
  if (!/^\d{1,10}$/.test(stdout))
    throw new Error(`last-slurm-job printed no number: ${stdout.slice(0, 80)}`);
  const last = Number(stdout);
  // Slurm itself starts anew after the greatest.
  return last < MAX_JOB_ID ? last : 0;
}

async function startInOrder(
  supervisor: Supervisor,
  config: Config,
  layout: Layout,
  ssh: SshNodes,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<void> {
  const ready = async (name: string) => {
    await waitUntilReady(name, config, layout, signal);
    say(`  ${name} answers`);
  };
  await Promise.all(['munged', 'mariadb'].map((name) => supervisor.startProgram(name)));
  await Promise.all(['munged', 'mariadb'].map(ready));
  await supervisor.startProgram('slurmdbd');
  await ready('slurmdbd');
  await makeSlurmAccounts(layout);
  await supervisor.startProgram('slurmctld');
  await ready('slurmctld');
  await closePartitions(layout);
  await endLostJobs(layout, [NODE_NAME, ...ssh.names]);
  const startedAt = Date.now();
  await supervisor.startProgram('slurmd');
  for (const name of ssh.names) await supervisor.startProgram(slurmdProgram(name));
  await ready('slurmd');
  await waitForNodes(layout, [NODE_NAME], startedAt, signal);
  await ssh.registered(ssh.names, startedAt, signal);
  if (ssh.names.length > 0) await supervisor.startProgram(SSH_WATCH);
  await openForPlaceholders(layout);
  await supervisor.startProgram('api');
  await ready('api');
  await openPartitions(layout);
}

/** Returns the names of the daemons by the ports at which they listen. */
function daemonPorts(
  { ports, join: workers }: Config,
  sshPorts: ReadonlyMap<number, string>,
): ReadonlyMap<number, string> {
  return new Map([
    [ports.slurmctld, 'slurmctld'],
    [ports.slurmd, 'slurmd'],
    [ports.slurmdbd, 'slurmdbd'],
    ...(workers ? ([[workers.slurmdPort, 'slurmd of workers']] as const) : []),
    ...sshPorts,
  ]);
}

async function waitUntilReady(
  name: string,
  config: Config,
  layout: Layout,
  signal: AbortSignal,
): Promise<void> {
  const probe = probesOf(layout, config)[name];
  if (probe === undefined) throw new Error(`no probe for ${name}`);
  await waitFor(name, probe, layout, signal);
}

/**
 * Bound the API's heap; sizes are in megabytes (see the figure "memory" in bench/RESULTS.md). By
 * default V8 lets 25 MB of live objects grow to more than 120 before it collects them.
 *
 * The growing factor is 2. V8 counts buffers towards the heap's limit, and frees young ones only
 * once there are 32 MB of them. Under the 1.4 that follows from 512 MB, each 25 MB of an upload
 * would mark the whole heap again, which takes more processor time than the rest of the upload.
 */
const V8_LIMITS = [
  '--max-old-space-size=512',
  '--initial-old-space-size=48',
  '--max-semi-space-size=4',
  '--heap-growing-percent=100',
];

function apiProgram(layout: Layout, hardware: Hardware, app: Installation): Program {
  return {
    name: 'api',
    user: 'jobrunner',
    command: [app.node, ...V8_LIMITS, join(app.root, 'dist/main.js'), 'serve'],
    environment: {
      ...publicSettings(),
      JR_NUM_CPUS: String(hardware.cpus),
      JR_REAL_MEM_MB: String(hardware.memoryMb),
      SLURM_CONF: layout.slurmConf,
      ...plainEnvironment,
    },
    stopSeconds: 20,
    order: 90,
  };
}

function sshWatchProgram(layout: Layout, config: Config, app: Installation): Program {
  return {
    name: SSH_WATCH,
    user: 'jr-remote',
    command: [app.node, join(app.root, 'dist/main.js'), 'remote-watch'],
    environment: {
      ...sshEnvironment(config),
      SLURM_CONF: layout.slurmConf,
      ...plainEnvironment,
    },
    stopSeconds: 10,
    order: 60,
  };
}

function joinPortProgram(
  layout: Layout,
  { host, port, ports }: Config,
  { port: joinPort, slurmdPort }: NonNullable<Config['join']>,
  app: Installation,
): Program {
  return {
    name: JOIN_PORT,
    user: 'jr-join',
    command: [app.node, join(app.root, 'dist/main.js'), 'join-port'],
    environment: {
      JR_ROOT: layout.root,
      JR_HOST: host,
      JR_PORT: String(port),
      JR_SLURMCTLD_PORT: String(ports.slurmctld),
      JR_WORKER_SLURMD_PORT: String(slurmdPort),
      JR_JOIN_PORT: String(joinPort),
      ...plainEnvironment,
    },
    stopSeconds: 5,
    // Stops before slurmctld, which it carries.
    order: 45,
  };
}

/** @param running number of jobs that end with the stack; undefined while Slurm does not answer */
function parting(running: number | undefined): string {
  if (running === undefined || running === 0) return 'Stopping …';
  return `Stopping … ${running} running ${running === 1 ? 'job ends' : 'jobs end'}`;
}

function banner(
  config: Config,
  hardware: Hardware,
  newToken: string | undefined,
  layout: Layout,
): string {
  return [
    '',
    `JobRunner is ready: ${inWords(hardware)}`,
    `  URL    ${shownUrl(config)}`,
    newToken === undefined
      ? `  token  the one you set, or the one printed at the first start (${join(layout.secrets, 'auth-token')})`
      : `  token  ${newToken}   (printed this once; kept in ${join(layout.secrets, 'auth-token')})`,
    '  Ctrl-C stops everything.',
  ].join('\n');
}
